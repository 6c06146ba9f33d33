package failover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Produce is kgo's. The promise is called once, in order per partition, with the offset on the
// cluster that has the record: after a switch that may be another one than it was given to. It
// waits while its buffer is full, and while no cluster is active or the lease is over, until the
// context ends; of the latter two for [Config.MaxWait] at most: the promise then gets
// [ErrSwitching] or [ErrFenced]. A record that was taken waits for as long as its context lets it;
// where that ends while nothing can be sent, the promise gets its error, and [ErrInDoubt] with it
// where the record may have been written, or may be yet: that concerns no other record. As with
// kgo, a promise must not call methods that wait.
func (c *Client) Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	c.produce(ctx, r, promise, true)
}

// TryProduce is kgo's: it never waits. Beside [kgo.ErrMaxBuffered] its promise may get
// [ErrSwitching] or [ErrFenced].
func (c *Client) TryProduce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	c.produce(ctx, r, promise, false)
}

// ProduceSync is kgo's, but that it doesn't cut a linger short.
func (c *Client) ProduceSync(ctx context.Context, rs ...*kgo.Record) kgo.ProduceResults {
	var wg sync.WaitGroup
	results := make(kgo.ProduceResults, 0, len(rs))
	var mu sync.Mutex
	wg.Add(len(rs))
	for _, r := range rs {
		c.Produce(ctx, r, func(r *kgo.Record, err error) {
			mu.Lock()
			results = append(results, kgo.ProduceResult{Record: r, Err: err})
			mu.Unlock()
			wg.Done()
		})
	}
	wg.Wait()
	return results
}

func (c *Client) produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error), wait bool) {
	if ctx == nil {
		ctx = context.Background()
	}
	if promise == nil {
		promise = func(*kgo.Record, error) {}
	}
	size := sizeOf(r)
	c.mu.Lock()
	err := c.admission(size)
	if errors.Is(err, kgo.ErrMaxBuffered) {
		c.takeAcks()
		err = c.admission(size)
	}
	if err != nil && wait && !final(err) {
		err = c.waitFor(ctx, size, err)
	}
	copied := err == nil && c.copied(ctx, r)
	switch {
	case err != nil:
		c.mu.Unlock()
		if r.Context == nil {
			r.Context = ctx
		}
		promise(r, err)
		return
	case c.light(ctx, r, size):
		c.fly(ctx, r, promise, size, copied)
	default:
		e := c.box.entry(ctx, r, promise)
		if e.apart = copied || c.cur.limits.timeout > 0; e.apart {
			e.separate()
			e.take()
		}
		e.address()
		c.box.push(e)
		c.give(c.cur, e)
	}
	c.hasten()
	c.mu.Unlock()
}

// final errors of an admission don't go away.
func final(err error) bool {
	return errors.Is(err, kgo.ErrClientClosed) || errors.Is(err, ErrEpochEnded)
}

// admission says why a record can't be taken now; c.mu is held.
func (c *Client) admission(size int64) error {
	s := c.cur
	switch {
	case c.closed:
		return kgo.ErrClientClosed
	case c.txn != nil && c.txn != s:
		return ErrEpochEnded
	case s == nil && (c.epoch.Closing() || c.lease.Valid()):
		return ErrSwitching
	case s == nil || c.fenced:
		return ErrFenced
	}
	b := &c.box
	if b.unacked > 0 && (int64(b.unacked) >= s.limits.records || b.unackedBytes+size > s.limits.bytes) {
		return kgo.ErrMaxBuffered
	}
	if c.replayFull(size) && c.copyMoves() {
		return errReplayFull
	}
	return nil
}

var errReplayFull = fmt.Errorf("failover: too many records wait for the copy: %w", kgo.ErrMaxBuffered)

// waitFor waits until a record can be taken; c.mu is held.
func (c *Client) waitFor(ctx context.Context, size int64, err error) error {
	if errors.Is(err, errReplayFull) {
		c.box.waited++
		c.box.blocked++
		defer func() { c.box.blocked-- }()
	}
	begun, wake := time.Now(), time.AfterFunc(c.cfg.MaxWait, c.broadcast)
	defer wake.Stop()
	c.unlinger()
	defer c.relinger()
	late := false
	c.awaitOn(ctx, &c.room, func() bool {
		c.want()
		c.takeAcks()
		err = c.admission(size)
		if err == nil || final(err) {
			return true
		}
		if c.cur != nil && c.cur.limits.manual && errors.Is(err, kgo.ErrMaxBuffered) {
			return true // nobody else makes room
		}
		late = time.Since(begun) >= c.cfg.MaxWait && !errors.Is(err, kgo.ErrMaxBuffered)
		return late
	})
	switch {
	case c.closed:
		return kgo.ErrClientClosed
	case err == nil || final(err):
		return err
	case late:
		return fmt.Errorf("%w, for %v", err, c.cfg.MaxWait)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", err, ctx.Err())
	}
	return err
}

// unlinger has kgo send what it lingers with, for as long as somebody waits for room: kgo doesn't
// know of the buffer's bounds. c.mu is held.
func (c *Client) unlinger() {
	c.waiting++
	c.ease()
	c.hasten()
}

// hasten flushes while somebody waits for room. A flush ends where kgo has nothing left, or with
// its session: whoever gives it more begins another one. c.mu is held.
func (c *Client) hasten() {
	s := c.cur
	if s == nil || s.limits.manual || c.waiting == 0 || c.linger != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	c.linger, c.flushes = cancel, c.flushes+1
	number := c.flushes
	c.wg.Go(func() {
		defer cancel()
		_ = s.cl.Flush(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.linger != nil && c.flushes == number {
			c.linger = nil
			if s := c.cur; s != nil && s.cl.BufferedProduceRecords() > 0 { // it was given more meanwhile
				c.hasten()
			}
		}
	})
}

// relinger is called when that one doesn't wait any more; c.mu is held.
func (c *Client) relinger() {
	if c.waiting--; c.waiting == 0 {
		c.acks.wanted.Store(false)
		if c.linger != nil {
			c.linger()
			c.linger = nil
		}
	}
	c.ease()
}

// makeRoom wakes those who wait for room, where there is enough. c.mu is held.
func (c *Client) makeRoom(s *session) {
	if c.waiting > 0 && s.limits.roomy(int64(c.box.unacked), c.box.unackedBytes) {
		c.acks.wanted.Store(false) // whom it isn't enough for wants it again
		c.room.Broadcast()
	}
}

// returned notes that kgo has answered; c.mu is held.
func (c *Client) returned(e *entry) {
	e.session.sent--
	e.pending = false
	c.answers++
}

// heard tells those who wait for it that kgo has answered; c.mu is held.
func (c *Client) heard(s *session, err error) {
	if c.quiet || err != nil || s.sent == 0 && c.cur != s {
		c.quiet = false
		c.wake()
	}
}

// give hands an entry to kgo, which doesn't block: its bounds are kept here. The client's lock
// makes kgo's order the outbox's; c.mu is held.
func (c *Client) give(s *session, e *entry) {
	if t := s.limits.timeout; t > 0 && e.cancel == nil && !e.answered {
		e.ctx, e.cancel = context.WithTimeoutCause(e.ctx, t, kgo.ErrRecordTimeout)
	}
	if e.session != nil && e.session.cluster.Name != s.cluster.Name {
		e.moved = true
	}
	e.session, e.txn, e.pending = s, c.txn != nil, true
	c.box.enlist(e)
	s.sent++
	s.flush = true
	if e.done == nil { // an entry is given to one session only
		e.done = func(_ *kgo.Record, err error) { c.answered(e.session, e, err) }
	}
	s.cl.Produce(e.ctx, e.rec, e.done)
}

// answered takes kgo's answer in.
func (c *Client) answered(s *session, e *entry, err error) {
	if err == nil && c.leaveAck(s, e) {
		return
	}
	c.mu.Lock()
	c.takeLeft()
	c.returned(e)
	c.heard(s, err)
	switch {
	case e.gone:
		c.box.remove(e)
		c.mu.Unlock()
		return
	case err == nil:
		c.ack(s, e)
	case c.unanswered(s, e, err):
		e.separate()
		c.mu.Unlock() // the switch settles it
		return
	default:
		c.box.remove(e)
		err = e.timeout(err)
	}
	call := e.answer()
	promise, orig := e.promise, e.orig
	switch {
	case e.acked && promise != nil: // it is kept
		e.detach()
	case err == nil && e.in == nil:
		c.box.free(e)
	}
	c.makeRoom(s)
	c.mu.Unlock()
	if call {
		promise(orig, err)
		return
	}
	c.call(e, false, err)
}

// unanswered says that an error of kgo's says nothing about the record, or nothing yet; c.mu is
// held.
func (c *Client) unanswered(s *session, e *entry, err error) bool {
	switch {
	case c.closed:
		return false
	case s.ctx.Err() != nil:
		return true
	case e.txn:
		return false
	case c.epoch.Number != s.epoch.Number: // it may still be sent elsewhere
		return e.err() == nil && !refused(err)
	case errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed):
		return c.hold(s, e, err)
	}
	return false
}

// refused says that no cluster takes such a record, or that the application doesn't want it any
// more.
func refused(err error) bool {
	for _, r := range []error{kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp, kgo.ErrAborting} {
		if errors.Is(err, r) {
			return true
		}
	}
	return false
}

// ack notes that a record is written; c.mu is held.
func (c *Client) ack(s *session, e *entry) {
	c.firstAck(s)
	if !s.known(e.rec) {
		c.box.remove(e)
		return
	}
	s.acked.set(topicPartition{e.rec.Topic, e.rec.Partition}, e.rec.Offset)
	c.keep(e)
}

// keep keeps an acked record for a replay, or forgets it. Without a replay the record is the
// caller's again, perhaps; c.mu is held.
func (c *Client) keep(e *entry) {
	r := c.cfg.Replay
	if r == nil || e.txn {
		c.box.remove(e)
		return
	}
	c.box.keep(e)
	c.fills(r)
	for c.box.acked > r.Records || c.box.ackedBytes > r.Bytes {
		c.box.letOldestGo()
	}
}

func (c *Client) firstAck(s *session) {
	r := c.report
	if r == nil || r.FirstAckMillis >= 0 || r.Epoch != s.epoch.Number {
		return
	}
	r.FirstAckMillis = time.Since(r.Closed).Milliseconds()
	c.ease()
	if h := c.cfg.Hooks.OnFirstAck; h != nil {
		report := *r
		c.box.promises.Go(func() { h(report) })
	}
}

// answer writes what kgo knows into the caller's record, once, and says whether the promise is to
// be called. kgo is done with the record.
func (e *entry) answer() bool {
	if e.answered {
		return false
	}
	e.answered = true
	if e.cancel != nil {
		e.cancel()
	}
	if e.orig != e.rec {
		result(e.orig, e.rec)
	}
	e.orig.Context = e.recCtx
	if marked(e.orig) { // kgo never had it
		e.orig.Offset, e.orig.LeaderEpoch = e.offset, e.epoch
	}
	if e.orig.Partition < 0 {
		e.orig.Partition = e.given
	}
	return true
}

// timeout is kgo's name for the end of an entry's context, where that was its delivery timeout.
func (e *entry) timeout(err error) error {
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(e.ctx), kgo.ErrRecordTimeout) {
		return kgo.ErrRecordTimeout
	}
	return err
}

// call calls the promise. That of a record that is replayed was called when it was acked first.
func (c *Client) call(e *entry, first bool, err error) {
	switch {
	case first:
		e.promise(e.orig, err)
	case err != nil:
		c.cfg.Logger.Error("failover: a record that had been acked can't be produced again", "topic", e.orig.Topic, "partition", e.orig.Partition, "err", err)
		if h := c.cfg.Hooks.OnLost; h != nil {
			h(e.orig, err)
		}
	}
}

// failAll answers all that is left, but what kgo has: it does that, soon.
func (c *Client) failAll(err error) {
	c.mu.Lock()
	var left []*entry
	for _, e := range c.box.all() {
		if e.pending {
			continue
		}
		c.box.remove(e)
		if e.answer() {
			left = append(left, e)
		}
	}
	c.mu.Unlock()
	for _, e := range left {
		c.call(e, true, err)
	}
}
