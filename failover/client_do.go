package failover

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Do calls f with the kgo client of the active cluster: for kadm, sr, and raw requests. It waits
// for one. f's context ends with the cause [ErrEpochEnded] at a switch, and f must not keep the
// client. An error of f after that matches ErrEpochEnded.
func (c *Client) Do(ctx context.Context, f func(context.Context, *kgo.Client) error) error {
	s, err := c.session(ctx)
	if err != nil {
		return err
	}
	return s.do(ctx, f)
}

func (s *session) do(ctx context.Context, f func(context.Context, *kgo.Client) error) error {
	dctx, cancel := s.during(ctx)
	defer cancel()
	return s.endedBy(ctx, f(dctx, s.cl))
}

// Ping is kgo's.
func (c *Client) Ping(ctx context.Context) error {
	return c.Do(ctx, func(ctx context.Context, cl *kgo.Client) error { return cl.Ping(ctx) })
}

// AbortBufferedRecords is kgo's.
func (c *Client) AbortBufferedRecords(ctx context.Context) error {
	return c.Do(ctx, func(ctx context.Context, cl *kgo.Client) error { return cl.AbortBufferedRecords(ctx) })
}
