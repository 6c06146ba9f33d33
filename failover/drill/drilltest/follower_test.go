package drilltest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/failover/register"
)

// follower is the simplest client that follows the register: at a closing epoch it waits for what
// is under way, for a while, and forgets the rest.
type follower struct {
	cfg    drill.Config
	opts   []kgo.Opt
	cancel context.CancelFunc
	done   chan struct{}

	mu sync.RWMutex
	cl *kgo.Client
}

func follow(t *testing.T, cfg drill.Config, opts ...kgo.Opt) (*follower, error) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{cfg: cfg, opts: opts, cancel: cancel, done: make(chan struct{})}
	first, err := register.Latest(ctx, cfg.Register, cfg.Scope)
	if err == nil {
		err = f.open(first.Active)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer close(f.done)
		if err := f.run(ctx, first); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}()
	return f, nil
}

func (f *follower) open(cluster string) error {
	for _, c := range f.cfg.Clusters {
		if c.Name != cluster {
			continue
		}
		cl, err := kgo.NewClient(append(c.Opts[:len(c.Opts):len(c.Opts)], f.opts...)...)
		f.cl = cl
		return err
	}
	return errors.New("no cluster " + cluster)
}

func (f *follower) run(ctx context.Context, e register.Epoch) error {
	for {
		next, err := register.Next(ctx, f.cfg.Register, e)
		switch {
		case errors.Is(err, register.ErrNoEpoch):
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return context.Canceled
			}
			continue
		case err != nil:
			return err
		case next.Closing():
			f.mu.Lock()
			flush, cancel := context.WithTimeout(ctx, f.cfg.Lease/2)
			_ = f.cl.Flush(flush)
			cancel()
			f.cl.Close()
		default:
			err := f.open(next.Active)
			f.mu.Unlock()
			if err != nil {
				return err
			}
		}
		e = next
	}
}

func (f *follower) now() *kgo.Client {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.cl
}

func (f *follower) Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) {
	f.now().Produce(ctx, r, promise)
}
func (f *follower) Flush(ctx context.Context) error { return f.now().Flush(ctx) }
func (f *follower) CommitRecords(ctx context.Context, rs ...*kgo.Record) error {
	return f.now().CommitRecords(ctx, rs...)
}

func (f *follower) PollRecords(ctx context.Context, n int) kgo.Fetches {
	for {
		cl := f.now()
		if fetches := cl.PollRecords(ctx, n); !fetches.IsClientClosed() || ctx.Err() != nil || cl == f.now() {
			return fetches
		}
	}
}

func (f *follower) Close() {
	f.cancel()
	<-f.done
	f.cl.Close()
}

// followers have a drill's clients be such.
func followers(t *testing.T) Options {
	return Options{Config: func(c *drill.Config) {
		c.Register, c.Scope = register.NewMemory(), "drill"
		cfg := *c
		c.Open = func(_ context.Context, _ string, opts ...kgo.Opt) (drill.Client, error) {
			return follow(t, cfg, opts...)
		}
	}}
}

// Whoever follows the register loses nothing in a planned switchover.
func TestFollowers(t *testing.T) {
	s, _ := drill.Find("planned_switchover")
	e := Run(t, s, followers(t))
	if len(e.Switches) != 1 || e.Switches[0].End != control.EndSwitched {
		t.Errorf("%+v", e.Switches)
	}
}
