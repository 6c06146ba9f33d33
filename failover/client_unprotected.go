package failover

import "time"

// unprotected is what was let go for want of room, and the copy isn't known to have. The client's
// lock guards it.
type unprotected struct {
	since time.Time // zero: there is none
	upTo  map[topicPartition]int64
	told  bool // the hook was last called with true
}

// letGo notes a record that is forgotten.
func (u *unprotected) letGo(at topicPartition, offset int64) {
	if u.since.IsZero() {
		u.since, u.upTo = time.Now(), make(map[topicPartition]int64)
	}
	u.upTo[at] = offset
}

// confirmed notes where the copy of a partition ends for certain.
func (u *unprotected) confirmed(at topicPartition, end int64) {
	if offset, ok := u.upTo[at]; ok && offset < end {
		delete(u.upTo, at)
		if len(u.upTo) == 0 {
			u.clear()
		}
	}
}

func (u *unprotected) clear() { u.since, u.upTo = time.Time{}, nil }

// tellUnprotected calls the hook where it has changed whether something is unprotected. One
// goroutine does, so that the calls are in pairs.
func (c *Client) tellUnprotected() {
	c.mu.Lock()
	u := &c.box.unprotected
	now := !u.since.IsZero()
	changed := now != u.told
	u.told = now
	c.mu.Unlock()
	if !changed {
		return
	}
	if now {
		c.cfg.Logger.Warn("failover: records are let go that the copy isn't known to have")
	} else {
		c.cfg.Logger.Info("failover: the copy has what was let go")
	}
	if h := c.cfg.Hooks.OnUnprotected; h != nil {
		h(now)
	}
}

// still is after how many questions without an answer that moves it the copy stands still.
const still = 10

// replayFull says that a record of a size doesn't fit into the replay buffer, and that producing is
// to wait then; c.mu is held.
func (c *Client) replayFull(size int64) bool {
	r, b := c.cfg.Replay, &c.box
	all := b.acked + b.unacked
	return r != nil && r.Block && all > 0 && (all >= r.Records || b.ackedBytes+b.unackedBytes+size > r.Bytes)
}

// copyMoves says that the copy has lately confirmed something; c.mu is held.
func (c *Client) copyMoves() bool {
	return time.Since(c.box.movedAt) < still*c.cfg.Replay.Every
}

// unblock lets those go on who wait for a copy that stands still.
func (c *Client) unblock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.box.blocked > 0 && !c.copyMoves() {
		c.wake()
	}
}
