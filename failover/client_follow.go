package failover

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/failover/internal/lease"
	"github.com/kafkadr/kafkadr/failover/register"
)

// poll reads the register for the next epoch: its absence confirms the lease.
func (c *Client) poll(ctx context.Context) {
	for ctx.Err() == nil {
		if c.look(ctx) {
			continue
		}
		every := c.cfg.Poll
		if c.closing() {
			every = min(every, 100*time.Millisecond) // somebody waits for the next epoch
		}
		sleep(ctx, every)
	}
}

func (c *Client) closing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch.Closing()
}

// look reads once. It says whether there was another epoch.
func (c *Client) look(ctx context.Context) bool {
	c.mu.Lock()
	e, l := c.epoch, c.lease
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, max(c.cfg.Lease/2, c.cfg.Poll))
	defer cancel()
	start := l.Begin()
	next, err := register.Next(ctx, c.cfg.Register, e)
	switch {
	case err == nil:
		c.see(next)
	case errors.Is(err, register.ErrNoEpoch):
		l.Confirm(start)
	case ctx.Err() == nil || context.Cause(ctx) == context.DeadlineExceeded: //nolint:errorlint // the cause itself
		c.retry("register", err)
	}
	c.setFenced(!l.Valid())
	return err == nil
}

// setFenced notes whether records may be taken; the connections decide for themselves what may be sent.
func (c *Client) setFenced(fenced bool) {
	c.mu.Lock()
	changed := c.fenced != fenced && c.cur != nil
	c.fenced = fenced
	c.changed.Broadcast()
	c.mu.Unlock()
	if h := c.cfg.Hooks.OnFenced; h != nil && changed {
		h(fenced)
	}
}

// see takes an epoch in: from here on the one before isn't confirmed any more.
func (c *Client) see(e register.Epoch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch, c.seen = e, time.Now()
	c.lease = lease.New(lease.Config{Lease: c.cfg.Lease, Clock: c.cfg.tuning.clock})
	c.news = append(c.news, e)
	if !e.Closing() {
		c.opened = append(c.opened, e)
	}
	c.fenced = true
	c.changed.Broadcast()
}

// move acts on epochs, one after the other.
func (c *Client) move(ctx context.Context) {
	for {
		e, ok := c.next(ctx)
		if !ok {
			return
		}
		c.leave(ctx, e)
		if !e.Closing() {
			c.goTo(ctx, e)
		}
	}
}

// next is the newest epoch that isn't acted on yet. Those that it outdates needn't be.
func (c *Client) next(ctx context.Context) (register.Epoch, bool) {
	stop := context.AfterFunc(ctx, c.broadcast)
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.news) == 0 && !c.closed && ctx.Err() == nil {
		c.changed.Wait()
	}
	if c.closed || ctx.Err() != nil {
		return register.Epoch{}, false
	}
	return c.news[len(c.news)-1], true
}

// acted takes an epoch, and those before it, off the list.
func (c *Client) acted(e register.Epoch) {
	c.news = slices.DeleteFunc(c.news, func(n register.Epoch) bool { return n.Number <= e.Number })
	c.changed.Broadcast()
}

// leave stops sending to the cluster of an epoch that has ended. What is under way may still be answered, until the lease or the epoch behind ends that.
func (c *Client) leave(ctx context.Context, e register.Epoch) {
	c.mu.Lock()
	s := c.cur
	if s == nil || s.epoch.Number >= e.Number {
		if e.Closing() {
			c.acted(e)
		}
		c.mu.Unlock()
		return
	}
	c.cur = nil
	c.report = &ClientReport{Scope: c.cfg.Scope, Switch: e.Switch, From: s.cluster.Name, Closed: time.Now(), FirstAckMillis: -1}
	c.changed.Broadcast()
	c.mu.Unlock()
	c.cfg.Logger.Info("failover: leaving", "cluster", s.cluster.Name, "epoch", e.Number, "reason", e.Reason)
	if e.Closing() {
		c.drain(ctx, s, e)
	}
	s.close(ErrEpochEnded)
	c.mu.Lock()
	for s.sent > 0 && !c.closed { // kgo has ended, and calls every promise
		c.changed.Wait()
	}
	if e.Closing() {
		c.acted(e)
	}
	c.mu.Unlock()
}

// drain waits for acks of what was sent, and leaves the group, while the lease lasts and no later epoch is there.
func (c *Client) drain(ctx context.Context, s *session, e register.Epoch) {
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
		for c.epoch.Number == e.Number && ctx.Err() == nil && !c.closed {
			c.changed.Wait()
		}
	})
	stop := context.AfterFunc(ctx, c.broadcast)
	defer stop()
	if s.flush {
		_ = s.cl.Flush(ctx)
	}
	c.leaveGroupWithin(ctx, s)
}

// goTo makes a client of the active cluster, until that works or a later epoch is there.
func (c *Client) goTo(ctx context.Context, e register.Epoch) {
	for n := 0; ; n++ {
		c.mu.Lock()
		outdated := c.epoch.Number != e.Number || c.closed
		c.mu.Unlock()
		if outdated || ctx.Err() != nil {
			return
		}
		s, err := c.connect(ctx, e)
		if err == nil {
			err = c.settle(ctx, s)
		}
		if err == nil {
			return
		}
		if s != nil {
			s.close(ErrEpochEnded)
		}
		c.mu.Lock()
		c.failing = err
		c.mu.Unlock()
		c.retry("connect to "+e.Active, err)
		sleep(ctx, min(50*time.Millisecond<<min(n, 5), time.Second))
	}
}

// enter makes a session the current one. unsettled are records to produce first, in order.
func (c *Client) enter(s *session, unsettled []*entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.failing = nil
	for _, e := range unsettled {
		c.give(s, e)
	}
	c.cur = s
	c.fenced = !s.lease.Valid()
	c.acted(s.epoch)
}
