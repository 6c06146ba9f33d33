package failover

import (
	"sync"
	"sync/atomic"
)

// acks are answers that kgo's goroutine leaves for whoever has the client's lock next, so that the
// two don't take turns at it record by record: those that say nothing but that a record is written,
// while nobody waits for any. Their promises were called. Those of flights are only counted.
type acks struct {
	_ apart
	// easy is the session whose acks may be left; nil: none's.
	easy atomic.Pointer[session]
	// wanted: somebody waits for room.
	wanted atomic.Bool
	_      apart

	spare []*entry // for left; the client's lock guards it

	mu   sync.Mutex // behind that one
	left []*entry
}

// ackBatch is how many acks are left at most.
const ackBatch = 256

// ease says whose acks may be left from now on; c.mu is held. It is called at all that its answer
// depends on.
func (c *Client) ease() {
	s := c.cur
	if s != nil && (c.closed || c.fenced || c.quiet || c.waiting > 0 && c.cfg.Replay != nil || s.epoch.Number != c.epoch.Number || c.report != nil && c.report.FirstAckMillis < 0) {
		s = nil
	}
	c.acks.easy.Store(s)
}

// leaveAck leaves an ack of a record that is kept for a replay, once its promise was called, where
// that may be done. kgo calls it for one record at a time.
func (c *Client) leaveAck(s *session, e *entry) bool {
	if c.cfg.Replay == nil || c.acks.easy.Load() != s || e.txn || e.cancel != nil || !s.known(e.rec) {
		return false
	}
	if !atomic.CompareAndSwapUint32(&e.claimed, 0, 1) || e.answered {
		return false
	}
	promise, orig := e.promise, e.orig
	e.answer()
	e.detach()
	s.acked.set(topicPartition{orig.Topic, orig.Partition}, orig.Offset)
	promise(orig, nil) // and the record is the caller's
	c.acks.mu.Lock()
	c.acks.left = append(c.acks.left, e)
	full := len(c.acks.left) >= ackBatch
	c.acks.mu.Unlock()
	if full || c.acks.easy.Load() != s { // somebody has begun to wait meanwhile
		c.catchUp(s)
	}
	return true
}

// catchUp takes in what was acked of a session, for those who wait.
func (c *Client) catchUp(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takeAcks()
	c.heard(s, nil)
	c.makeRoom(s)
}

// takeAcks takes in which records were acked meanwhile; c.mu is held.
func (c *Client) takeAcks() {
	c.takeLanded()
	c.takeLeft()
}

// takeLeft takes in what was left; c.mu is held.
func (c *Client) takeLeft() {
	a := &c.acks
	a.mu.Lock()
	if len(a.left) == 0 {
		a.mu.Unlock()
		return
	}
	left := a.left
	a.left, a.spare = a.spare[:0], nil
	a.mu.Unlock()
	for _, e := range left {
		c.returned(e)
		c.firstAck(e.session)
		c.keep(e)
	}
	clear(left)
	a.spare = left[:0]
}
