package failover

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/failover/internal/lease"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// term is an epoch, and the right to send in it.
type term struct {
	epoch register.Epoch
	lease *lease.Lease
	seen  time.Time // when the client saw it
}

// poll reads the register for the next epoch: its absence confirms the lease.
func (c *Client) poll(ctx context.Context) {
	for ctx.Err() == nil {
		if c.look(ctx) {
			continue
		}
		t := time.NewTimer(c.every())
		select {
		case <-t.C:
		case <-c.poke:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// every is the time to the next look. In a closed epoch somebody waits for the next one: looks come
// up to ten times as often, yet not many of them, since a thousand clients wait at once. What they
// add to the switch is a tenth of what it has taken.
func (c *Client) every() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	poll := c.cfg.Poll
	if l := c.leaseOf(c.epoch); l < c.cfg.Lease {
		poll = min(poll, l/5)
	}
	if !c.epoch.Closing() {
		return poll
	}
	return min(poll, max(poll/10, 100*time.Millisecond, time.Since(c.seen)/10))
}

// look reads once. It says whether there was another epoch.
func (c *Client) look(ctx context.Context) bool {
	c.mu.Lock()
	t, held := c.term, len(c.held)
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, max(c.leaseOf(t.epoch)/2, c.cfg.Poll))
	defer cancel()
	start := t.lease.Begin()
	next, err := register.Next(ctx, c.cfg.Register, t.epoch)
	switch {
	case err == nil:
		c.see(next)
	case errors.Is(err, register.ErrNoEpoch):
		t.lease.Confirm(start)
		if held > 0 {
			c.release(held)
		}
	case ctx.Err() == nil || errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		c.retry("register", err)
	}
	c.refence()
	return err == nil
}

// refence notes whether records may be taken; the connections decide for themselves what may be
// sent.
func (c *Client) refence() {
	c.mu.Lock()
	fenced := !c.lease.Valid()
	changed := c.fenced != fenced && c.cur != nil
	c.fenced = fenced
	c.wake()
	c.mu.Unlock()
	if h := c.cfg.Hooks.OnFenced; h != nil && changed {
		h(fenced)
	}
}

// watch notes the lease's end when it is there: a look may take longer than that.
func (c *Client) watch(ctx context.Context) {
	for ctx.Err() == nil {
		c.mu.Lock()
		c.await(ctx, func() bool { return c.lease.Valid() })
		l := c.lease
		c.mu.Unlock()
		_ = l.Wait(ctx)
		c.refence()
	}
}

// await waits until f is true, the client is closed, or ctx ends: false then. c.mu is held, and
// given up meanwhile.
func (c *Client) await(ctx context.Context, f func() bool) bool {
	return c.awaitOn(ctx, &c.changed, f)
}

func (c *Client) awaitOn(ctx context.Context, at *sync.Cond, f func() bool) bool {
	stop := context.AfterFunc(ctx, c.broadcast)
	defer stop()
	for !c.closed && ctx.Err() == nil {
		if f() {
			return true
		}
		at.Wait()
	}
	return false
}

// leaseOf is an epoch's: the register's word holds for all clients.
func (c *Client) leaseOf(e register.Epoch) time.Duration { return cmp.Or(e.Lease, c.cfg.Lease) }

// see takes an epoch in: from here on the one before isn't confirmed any more.
func (c *Client) see(e register.Epoch) term {
	if l := c.leaseOf(e); l != c.cfg.Lease {
		c.cfg.Logger.Warn("failover: the scope's lease holds, not the configured one", "scope", e.Scope, "epoch", e.Number, "lease", l, "configured", c.cfg.Lease)
	}
	for _, cl := range c.cfg.Clusters {
		if id := e.ID(cl.Name); cl.ID != "" && id != "" && id != cl.ID {
			c.cfg.Logger.Warn("failover: the register's cluster ID holds, not the configured one", "scope", e.Scope, "epoch", e.Number, "cluster", cl.Name, "id", id, "configured", cl.ID)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.term = term{epoch: e, lease: lease.New(lease.Config{Lease: c.leaseOf(e), Clock: c.cfg.tuning.clock}), seen: time.Now()}
	c.news = append(c.news, c.term)
	c.held = nil // the switch settles them
	if !e.Closing() {
		c.opened = append(c.opened, e)
	}
	c.fenced = true
	c.wake()
	return c.term
}

// move acts on epochs, one after the other.
func (c *Client) move(ctx context.Context) {
	for {
		t, ok := c.next(ctx)
		if !ok {
			return
		}
		c.leave(ctx, t)
		if !t.epoch.Closing() {
			c.goTo(ctx, t)
		}
	}
}

// next is the newest epoch that isn't acted on yet; those that it outdates needn't be.
func (c *Client) next(ctx context.Context) (term, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.await(ctx, func() bool { return len(c.news) > 0 }) {
		return term{}, false
	}
	return c.news[len(c.news)-1], true
}

// acted takes an epoch, and those before it, off the list; c.mu is held.
func (c *Client) acted(number int64) {
	c.news = slices.DeleteFunc(c.news, func(t term) bool { return t.epoch.Number <= number })
	c.wake()
}

// leave stops sending to the cluster of an epoch that has ended. What is under way may still be
// answered, until the lease or the epoch behind ends that.
func (c *Client) leave(ctx context.Context, t term) {
	c.mu.Lock()
	s, closing := c.cur, t.epoch.Closing()
	c.begins(t.epoch)
	if s == nil || s.epoch.Number >= t.epoch.Number {
		if closing {
			c.acted(t.epoch.Number)
		}
		c.mu.Unlock()
		return
	}
	c.cur = nil
	c.wake()
	c.mu.Unlock()
	c.cfg.Logger.Info("failover: leaving", "cluster", s.cluster.Name, "epoch", t.epoch.Number, "reason", t.epoch.Reason)
	if closing {
		c.drain(ctx, s, t)
	}
	s.close(&c.wg, ErrEpochEnded)
	c.mu.Lock()
	for s.sent > 0 && !c.closed { // kgo has ended, and calls every promise
		c.changed.Wait()
	}
	if c.closed {
		c.mu.Unlock()
		return
	}
	answers := append(c.abortTransaction(), c.expired()...)
	if closing {
		c.acted(t.epoch.Number)
	}
	c.mu.Unlock()
	for _, answer := range answers {
		answer()
	}
}

// begins starts the report of a switch; c.mu is held.
func (c *Client) begins(e register.Epoch) {
	if c.last == nil || c.last.epoch.Number >= e.Number || c.report != nil && c.report.Switch == e.Switch {
		return
	}
	c.report = &ClientReport{Scope: c.cfg.Scope, Switch: e.Switch, From: c.last.cluster.Name, Closed: time.Now(), FirstAckMillis: -1}
}

// drain waits for acks of what was sent, and leaves the group, while the lease lasts and no later
// epoch is there.
func (c *Client) drain(ctx context.Context, s *session, t term) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.wg.Go(func() {
		defer cancel()
		_ = s.lease.Wait(ctx)
	})
	c.wg.Go(func() {
		defer cancel()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.await(ctx, func() bool { return c.epoch.Number != t.epoch.Number })
	})
	if s.flush {
		_ = s.cl.Flush(ctx)
	}
	c.drainTransaction(ctx, s)
	c.leaveGroupWithin(ctx, s)
}

// goTo makes a client of the active cluster, until that works or a later epoch is there.
func (c *Client) goTo(ctx context.Context, t term) {
	for n := 0; ctx.Err() == nil; n++ {
		c.mu.Lock()
		outdated := c.epoch.Number != t.epoch.Number || c.closed || c.cur != nil
		c.mu.Unlock()
		if outdated {
			return
		}
		s, err := c.connect(ctx, t)
		if err == nil {
			err = c.settle(ctx, s)
		}
		if err == nil {
			return
		}
		if s != nil {
			s.close(&c.wg, ErrEpochEnded)
		}
		c.mu.Lock()
		c.failing = err
		c.mu.Unlock()
		c.retry("connect to "+t.epoch.Active, err)
		_ = rawkafka.Sleep(ctx, min(50*time.Millisecond<<min(n, 5), time.Second))
	}
}

// enter makes a session the current one. unsettled are records to produce first, in order.
func (c *Client) enter(s *session, unsettled []*entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.epoch.Number != s.epoch.Number {
		return ErrEpochEnded
	}
	c.failing = nil
	if c.report != nil {
		c.report.Epoch = s.epoch.Number
	}
	if c.last != nil && c.last.cluster.Name != s.cluster.Name { // what was let go there is on this one or not
		c.box.unprotected.clear()
	}
	if c.last != nil && c.last.epoch.Number != s.epoch.Number {
		c.before = c.last.epoch
	}
	s.inherit(c.last)
	last := c.last
	c.last = s
	c.subscribe(s, last)
	if c.direct != nil {
		c.wg.Go(func() { c.assign(s) })
	}
	unsettled = slices.DeleteFunc(unsettled, func(e *entry) bool {
		if e.gone { // meanwhile
			c.box.remove(e)
		}
		return e.gone
	})
	c.unack(unsettled)
	for _, e := range unsettled {
		c.give(s, c.box.again(e))
	}
	c.cur = s
	c.box.movedAt = time.Now()
	c.hasten()
	c.fenced = !s.lease.Valid()
	c.acted(s.epoch.Number)
	return nil
}
