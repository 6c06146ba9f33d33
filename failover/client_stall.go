package failover

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// quietFor is how long kgo may answer nothing before contexts are watched: a record that it has
// sent it gives back only with an answer, whatever becomes of the record's context.
const quietFor = 2 * time.Second

// listen notes when kgo falls silent, and tidies up.
func (c *Client) listen(ctx context.Context) {
	last := uint64(0)
	for ctx.Err() == nil {
		_ = rawkafka.Sleep(ctx, quietFor)
		c.mu.Lock()
		c.takeAcks()
		if quiet := c.box.unacked > 0 && c.answers == last; quiet != c.quiet {
			c.quiet = quiet
			c.wake()
		}
		last = c.answers
		c.box.trim()
		c.mu.Unlock()
	}
}

// stalled says that records wait and nothing is sent, or nothing answered; c.mu is held.
func (c *Client) stalled() bool { return (c.cur == nil || c.fenced || c.quiet) && c.box.unacked > 0 }

// expire answers for records whose contexts end while nothing can be sent, or nothing is answered.
// Otherwise kgo does, and contexts needn't be watched.
func (c *Client) expire(ctx context.Context) {
	for {
		c.mu.Lock()
		if !c.await(ctx, c.stalled) {
			c.mu.Unlock()
			return
		}
		fired := false
		disarm := c.arm(func() { fired = true })
		c.await(ctx, func() bool { return fired || !c.stalled() })
		var answers []func()
		if fired && c.stalled() {
			answers = c.expired()
		}
		c.mu.Unlock()
		disarm()
		for _, answer := range answers {
			answer()
		}
	}
}

// arm calls f, with c.mu held, at the end of each context that records wait with, whose promises
// weren't called.
func (c *Client) arm(f func()) (disarm func()) {
	var stops []func() bool
	seen := make(map[<-chan struct{}]bool)
	watch := func(ctx context.Context) {
		done := ctx.Done()
		if done == nil || seen[done] {
			return
		}
		seen[done] = true
		stops = append(stops, context.AfterFunc(ctx, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			f()
			c.wake()
		}))
	}
	c.box.flights.waiting(func(f *flight) { watch(f.ctx) })
	for e := c.box.sent.head; e != nil; e = e.next {
		if e.expires() {
			watch(e.ctx)
			watch(e.recCtx)
		}
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// expires says that the end of its contexts is to be answered for. Of an entry that kgo has, only
// claimed and apart are read: the rest is changed by an ack that is left without the client's lock.
func (e *entry) expires() bool {
	if e.pending {
		return e.apart && atomic.LoadUint32(&e.claimed) == 0
	}
	return !e.answered && !e.gone
}

// expired answers for the records whose contexts have ended: it returns what calls their promises.
// Those that kgo has may still be sent, or were: they are in doubt, and stay counted against the
// buffer's bounds until kgo answers. kgo has copies of them. c.mu is held.
func (c *Client) expired() (answers []func()) {
	c.box.flights.waiting(func(f *flight) {
		if f.ctx.Err() == nil {
			return
		}
		for i := range f.n {
			if f.claimed.Or(1<<i)>>i&1 == 0 {
				e := c.land(f, i)
				f.early[i] = e
				answers = append(answers, c.early(e))
			}
		}
	})
	for e := c.box.sent.head; e != nil; e = e.next {
		switch {
		case !e.expires() || e.err() == nil:
		case e.pending:
			if atomic.CompareAndSwapUint32(&e.claimed, 0, 1) {
				answers = append(answers, c.early(e))
			}
		default:
			e.gone = true
			c.box.forget(e)
			err := c.expiry(e, e.rec.Partition >= 0) // else it never got as far as that
			if e.answer() {
				answers = append(answers, func() { c.call(e, true, err) })
			}
		}
	}
	return answers
}

// early answers for a record that kgo has, and goes on having. kgo isn't done with its copy, so
// nothing is looked at in that.
func (c *Client) early(e *entry) func() {
	e.gone, e.answered = true, true
	c.box.forget(e)
	err, promise, orig := c.expiry(e, true), e.promise, e.orig
	if e.cancel != nil {
		e.cancel()
	}
	orig.Context = e.recCtx
	return func() { promise(orig, err) }
}

// expiry is what the promise of a record gets whose context has ended.
func (c *Client) expiry(e *entry, sent bool) error {
	err := e.timeout(e.err())
	if sent {
		err = fmt.Errorf("%w: %w", ErrInDoubt, err)
	}
	switch {
	case c.epoch.Closing():
		return fmt.Errorf("%w: %w", ErrSwitching, err)
	case !c.lease.Valid():
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	return err
}

// refusal is an answer that is kept back until the register has said whether it was a fence.
type refusal struct {
	e   *entry
	err error
}

// hold keeps a refused write back: a fence denies writes on the old cluster, perhaps before this
// client has seen that there is a switch. c.mu is held.
func (c *Client) hold(s *session, e *entry, err error) bool {
	if c.cur != s || c.epoch.Number != s.epoch.Number { // there is one
		return true
	}
	c.held = append(c.held, refusal{e, err})
	select {
	case c.poke <- struct{}{}:
	default:
	}
	return true
}

// release answers for the first n that were held: there was no switch after them.
func (c *Client) release(n int) {
	c.mu.Lock()
	var answers []func()
	for _, h := range c.held[:n] {
		if h.e.in == nil { // its session was made anew meanwhile, which has settled it
			continue
		}
		c.box.remove(h.e)
		if e, first := h.e, h.e.answer(); !e.gone {
			answers = append(answers, func() { c.call(e, first, h.err) })
		}
	}
	c.held = c.held[n:]
	c.wake()
	c.mu.Unlock()
	for _, answer := range answers {
		answer()
	}
}

// Flush is kgo's. It returns when all that was produced before it has its answer, through a switch
// if need be.
func (c *Client) Flush(ctx context.Context) error {
	for {
		s, err := c.session(ctx)
		if err != nil {
			return err
		}
		fctx, cancel := s.during(ctx)
		err = s.cl.Flush(fctx)
		ended := s.ctx.Err() != nil
		cancel()
		if ctx.Err() != nil {
			return err
		}
		if !ended && err == nil {
			err = c.settled(ctx, s)
			ended = err == nil && s.ctx.Err() != nil
		}
		if !ended {
			return err
		}
	}
}

// settled waits until nothing that kgo has answered is held back, or the session ends.
func (c *Client) settled(ctx context.Context, s *session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.await(ctx, func() bool { return len(c.held) == 0 || c.cur != s }) {
		return nil
	}
	if c.closed {
		return kgo.ErrClientClosed
	}
	return ctx.Err()
}

// BufferedProduceRecords is kgo's: records without an answer.
func (c *Client) BufferedProduceRecords() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takeAcks()
	return int64(c.box.unacked - c.box.forgotten)
}

// BufferedProduceBytes is kgo's: keys, values and headers of those.
func (c *Client) BufferedProduceBytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takeAcks()
	return c.box.unackedBytes - c.box.forgottenBytes
}
