package failover

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// BeginTransaction is kgo's. The transaction is of the epoch that it was begun in: a switch aborts
// it. It doesn't wait: [ErrSwitching] where no cluster is active, [ErrFenced] where the lease is
// over.
func (c *Client) BeginTransaction() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.cur
	switch {
	case c.closed:
		return kgo.ErrClientClosed
	case s == nil && (c.epoch.Closing() || c.lease.Valid()):
		return ErrSwitching
	case s == nil || c.fenced:
		return ErrFenced
	}
	if err := s.cl.BeginTransaction(); err != nil {
		return err
	}
	c.txn = s
	return nil
}

// EndTransaction is kgo's. Where a switch came first, or comes in between, the error matches
// [ErrEpochEnded]: nothing of the transaction is produced on the new cluster. A commit that was
// under way then may have been done on the old one; as a whole or not at all there, and a mirror
// may have carried it.
func (c *Client) EndTransaction(ctx context.Context, commit kgo.TransactionEndTry) error {
	s, ended, err := c.beginEnd(ctx)
	if err != nil {
		return err
	}
	defer c.doneEnd()
	if ended {
		return ErrEpochEnded
	}
	ectx, cancel := s.during(ctx)
	defer cancel()
	err = s.cl.EndTransaction(ectx, commit)
	if err != nil && s.ctx.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrEpochEnded, err)
	}
	return err
}

// beginEnd takes the transaction that is under way, or lets kgo say that there is none. A switch
// that is closing waits for what ends within its lease, see drainTransaction.
func (c *Client) beginEnd(ctx context.Context) (s *session, ended bool, err error) {
	c.mu.Lock()
	s = c.txn
	if s != nil {
		ended = s != c.cur || s.ctx.Err() != nil
		c.txn, c.ending = nil, !ended
		c.wake()
		c.mu.Unlock()
		return s, ended, nil
	}
	c.mu.Unlock()
	s, err = c.session(ctx)
	return s, false, err
}

func (c *Client) doneEnd() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = false
	c.wake()
}

// drainTransaction waits for one that is being ended, and aborts one that is open: otherwise the
// old cluster would hold its readers, and the copy, back until that times out.
func (c *Client) drainTransaction(ctx context.Context, s *session) {
	c.mu.Lock()
	c.await(ctx, func() bool { return !c.ending })
	open := c.txn == s
	c.mu.Unlock()
	if !open {
		return
	}
	if err := s.cl.EndTransaction(ctx, kgo.TryAbort); err != nil {
		c.retry("abort a transaction that a switch has cut off", err)
	}
}
