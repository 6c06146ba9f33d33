package failover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Produce is kgo's. The promise is called once, in order per partition, with the offset on the cluster that has the record: after a switch that may be another one than it was given
// to. It waits while its buffer is full, and while no cluster is active or the lease is over, until the context ends or [Config.MaxWait] has passed: the promise then gets
// [ErrSwitching] or [ErrFenced].
func (c *Client) Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	c.produce(ctx, r, promise, true)
}

// TryProduce is kgo's: it never waits. Beside [kgo.ErrMaxBuffered] its promise may get [ErrSwitching] or [ErrFenced].
func (c *Client) TryProduce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	c.produce(ctx, r, promise, false)
}

// ProduceSync is kgo's.
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
	e := newEntry(ctx, r, promise)
	c.mu.Lock()
	err := c.admission(e)
	if err != nil && wait && !errors.Is(err, kgo.ErrClientClosed) && !errors.Is(err, ErrEpochEnded) {
		err = c.waitFor(ctx, e, err)
	}
	if err == nil {
		c.box.push(e)
		c.give(c.cur, e)
	}
	call := err != nil && e.answer()
	c.mu.Unlock()
	if call {
		c.call(e, true, err)
	}
}

// admission says why an entry can't be taken now; c.mu is held.
func (c *Client) admission(e *entry) error {
	s := c.cur
	switch {
	case c.closed:
		return kgo.ErrClientClosed
	case c.txn != nil && c.txn.ctx.Err() != nil:
		return ErrEpochEnded
	case s == nil:
		return ErrSwitching
	case c.fenced:
		return ErrFenced
	}
	if b := &c.box; b.unacked > 0 && (int64(b.unacked) >= s.limits.records || b.unackedBytes+e.size > s.limits.bytes) {
		return kgo.ErrMaxBuffered
	} else if r := c.cfg.Replay; r != nil && !r.LetGo && b.acked+b.unacked > 0 && (b.acked+b.unacked >= r.Records || b.ackedBytes+b.unackedBytes+e.size > r.Bytes) {
		return kgo.ErrMaxBuffered
	}
	return nil
}

// waitFor waits until an entry can be taken; c.mu is held.
func (c *Client) waitFor(ctx context.Context, e *entry, err error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.MaxWait, errMaxWait)
	defer cancel()
	stop := context.AfterFunc(ctx, c.broadcast)
	defer stop()
	for err != nil {
		switch {
		case errors.Is(err, kgo.ErrClientClosed) || errors.Is(err, ErrEpochEnded):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
		c.changed.Wait()
		err = c.admission(e)
	}
	return nil
}

var errMaxWait = errors.New("it has waited for too long")

// give hands an entry to kgo, which doesn't block: its bounds are kept here. The client's lock makes kgo's order the outbox's; c.mu is held.
func (c *Client) give(s *session, e *entry) {
	e.session, e.txn = s, c.txn != nil
	s.sent++
	s.flush = true
	s.cl.Produce(e.ctx, &e.rec, func(_ *kgo.Record, err error) { c.answered(s, e, err) })
}

// answered takes kgo's answer in.
func (c *Client) answered(s *session, e *entry, err error) {
	c.mu.Lock()
	s.sent--
	c.changed.Broadcast()
	switch {
	case err == nil:
		c.ack(s, e)
	case !c.closed && e.ctx.Err() == nil && s.ctx.Err() != nil:
		c.mu.Unlock() // in doubt: the switch settles it
		return
	default:
		c.box.remove(e)
	}
	call := e.answer()
	c.mu.Unlock()
	c.call(e, call, err)
}

// ack notes that a record is written; c.mu is held.
func (c *Client) ack(s *session, e *entry) {
	c.firstAck(s)
	r := c.cfg.Replay
	if r == nil || e.txn {
		c.box.remove(e)
		return
	}
	c.box.keep(e)
	for r.LetGo && (c.box.acked > r.Records || c.box.ackedBytes > r.Bytes) {
		c.box.letOldestGo()
	}
}

func (c *Client) firstAck(s *session) {
	r := c.report
	if r == nil || r.FirstAckMillis >= 0 || r.Epoch != s.epoch.Number {
		return
	}
	r.FirstAckMillis = time.Since(r.Closed).Milliseconds()
	if h := c.cfg.Hooks.OnFirstAck; h != nil {
		report := *r
		c.box.promises.Go(func() { h(report) })
	}
}

// answer writes what kgo knows into the caller's record, once, and says whether the promise is to be called. c.mu is held.
func (e *entry) answer() bool {
	if e.answered {
		return false
	}
	e.answered = true
	kept := e.orig.Context
	*e.orig = e.rec
	if e.orig.Context = kept; kept == nil {
		e.orig.Context = e.ctx
	}
	if e.rec.Partition < 0 {
		e.orig.Partition = e.given
	}
	return true
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

// failAll answers all that is left.
func (c *Client) failAll(err error) {
	c.mu.Lock()
	var left []*entry
	for _, e := range c.box.all() {
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

// Flush is kgo's. It returns when all that was produced before it has its answer, through a switch if need be.
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
		if !ended || ctx.Err() != nil {
			return err
		}
	}
}

// BufferedProduceRecords is kgo's: records without an answer.
func (c *Client) BufferedProduceRecords() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(c.box.unacked)
}

// BufferedProduceBytes is kgo's: keys, values and headers of those.
func (c *Client) BufferedProduceBytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.box.unackedBytes
}
