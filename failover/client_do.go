package failover

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Do calls f with the kgo client of the active cluster: for kadm, sr, and raw requests. It waits for one. f's context ends with the cause [ErrEpochEnded] at a switch, and f must not
// keep the client. An error of f after that matches ErrEpochEnded.
func (c *Client) Do(ctx context.Context, f func(context.Context, *kgo.Client) error) error {
	s, err := c.session(ctx)
	if err != nil {
		return err
	}
	dctx, cancel := s.during(ctx)
	defer cancel()
	err = f(dctx, s.cl)
	if err != nil && s.ctx.Err() != nil && !errors.Is(err, ErrEpochEnded) && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrEpochEnded, err)
	}
	return err
}

// Ping is kgo's.
func (c *Client) Ping(ctx context.Context) error {
	return c.Do(ctx, func(ctx context.Context, cl *kgo.Client) error { return cl.Ping(ctx) })
}

// BeginTransaction is kgo's. The transaction is of the epoch that it was begun in: a switch aborts it. It doesn't wait: [ErrSwitching] where no cluster is active.
func (c *Client) BeginTransaction() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.cur
	switch {
	case c.closed:
		return kgo.ErrClientClosed
	case s == nil:
		return ErrSwitching
	}
	if err := s.cl.BeginTransaction(); err != nil {
		return err
	}
	c.txn = s
	return nil
}

// EndTransaction is kgo's. Where a switch came first, or comes in between, the error matches [ErrEpochEnded]: nothing of the transaction is produced on the new cluster. A commit that
// was under way then may have been done on the old one; as a whole or not at all there, and a mirror may have carried it.
func (c *Client) EndTransaction(ctx context.Context, commit kgo.TransactionEndTry) error {
	c.mu.Lock()
	s := c.txn
	c.txn = nil
	cur := c.cur
	c.changed.Broadcast()
	c.mu.Unlock()
	if s == nil {
		if cur == nil {
			return ErrSwitching
		}
		return cur.cl.EndTransaction(ctx, commit)
	}
	if s.ctx.Err() != nil || s != cur {
		return ErrEpochEnded
	}
	ectx, cancel := s.during(ctx)
	defer cancel()
	err := s.cl.EndTransaction(ectx, commit)
	if err != nil && s.ctx.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrEpochEnded, err)
	}
	return err
}

// AbortBufferedRecords is kgo's.
func (c *Client) AbortBufferedRecords(ctx context.Context) error {
	return c.Do(ctx, func(ctx context.Context, cl *kgo.Client) error { return cl.AbortBufferedRecords(ctx) })
}
