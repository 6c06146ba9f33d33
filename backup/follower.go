package backup

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/storage"
)

// Follower backs a cluster up continuously.
type Follower struct {
	cfg   FollowerConfig
	hooks *hooks

	stop, done chan struct{}

	mu            sync.Mutex
	e             *engine
	cancel        context.CancelFunc
	ran, stopping bool
}

// NewFollower validates the configuration; it does no I/O. Errors are a
// *[ConfigError].
func NewFollower(cfg FollowerConfig) (*Follower, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return &Follower{cfg: cfg, hooks: &hooks{h: cfg.Hooks, logger: cfg.Logger}, stop: make(chan struct{}), done: make(chan struct{})}, nil
}

var (
	errRanAlready = errors.New("backup: a Follower runs once")
	errStopped    = errors.New("backup: stopped before what was read could be committed")
)

// Run follows until the context ends, which commits nothing more and is the
// error, or Stop, which commits what was read and makes Run return nil. The
// source and the store may be away for as long as they like once it runs; another
// writer of the lineage ends it with storage.ErrFenced (a sweep doesn't).
// Partitions that can't be read make its snapshots incomplete and are tried
// again. Topics that appear later and match are followed from then on, but one
// has to match at the start: else Run fails with an *[UnknownTopicError], having
// written nothing. It runs once.
func (f *Follower) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.mu.Lock()
	ran := f.ran
	f.ran, f.cancel = true, cancel
	f.mu.Unlock()
	if ran {
		return errRanAlready
	}
	defer close(f.done)
	return f.run(ctx)
}

func (f *Follower) run(ctx context.Context) error {
	c, err := connect(ctx, f.cfg.Config, f.hooks)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := selectTopics(ctx, c, f.cfg.Config); err != nil {
		return err
	}
	for n := 0; ; n++ {
		err := f.session(ctx, c, n > 0)
		var fenced *storage.FencedError
		if ctx.Err() != nil || !errors.As(err, &fenced) || fenced.Kind != "sweep" {
			return err
		}
		f.hooks.retry("claim", err) // a sweep has passed: go on from the last commit
	}
}

// Stop ends Run cleanly: what was read is flushed and committed, and Run has
// returned. Where ctx ends first, Run is ended hard and ctx's error returned.
func (f *Follower) Stop(ctx context.Context) error {
	f.mu.Lock()
	if !f.stopping {
		f.stopping = true
		close(f.stop)
	}
	ran := f.ran
	f.mu.Unlock()
	if !ran {
		return nil
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
	}
	f.mu.Lock()
	cancel := f.cancel
	f.mu.Unlock()
	cancel()
	<-f.done
	return fmt.Errorf("backup: stop: %w", context.Cause(ctx))
}

// Status is where the follower stands. It may be called at any time.
func (f *Follower) Status() Status {
	f.mu.Lock()
	e := f.e
	f.mu.Unlock()
	if e == nil {
		return Status{SnapshotAge: -1}
	}
	return e.status()
}

// session follows under one claim.
func (f *Follower) session(ctx context.Context, c *rawkafka.Cluster, again bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := f.claim(ctx, c, again)
	if err != nil {
		return err
	}
	s := &session{f: f, e: newEngine(ctx, f.cfg.Config, c, w, f.hooks)}
	s.e.c, s.e.patience, s.e.catalog = c.Hasty(lookFor, impatience), patience, source.New(f.cfg.Discover/2)
	s.e.partial = w.Snapshot() == nil || !w.Snapshot().Info().Complete
	s.adoptCounts()
	defer s.e.abandon()
	defer cancel()
	if err := s.e.load(ctx); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	fctx, stop := context.WithCancel(gctx)
	defer stop()
	g.Go(func() error {
		if err := s.e.reader.Run(fctx); fctx.Err() == nil || gctx.Err() != nil {
			return err
		}
		return nil // stopped
	})
	g.Go(func() error {
		defer stop()
		return s.loop(gctx)
	})
	return wrap(g.Wait())
}

func wrap(err error) error {
	switch {
	case err == nil:
		return err
	case errors.Is(err, storage.ErrFenced):
		return fmt.Errorf("backup: commit: %w", err)
	case isOurs(err):
		return err
	}
	return fmt.Errorf("backup: %w", err)
}

// isOurs says whether the error names the package already.
func isOurs(err error) bool {
	const prefix = "backup: "
	text := err.Error()
	return len(text) >= len(prefix) && text[:len(prefix)] == prefix
}

// claim becomes the writer. Once it has been, the store may be away for a while.
func (f *Follower) claim(ctx context.Context, c *rawkafka.Cluster, again bool) (*storage.Writer, error) {
	for n := 1; ; n++ {
		w, err := claim(ctx, f.cfg.Config, c.ID(), "follow")
		if err == nil || !again || ctx.Err() != nil {
			return w, err
		}
		f.hooks.retry("claim", err)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return nil, err
		}
	}
}

// adoptCounts goes on counting where the session before ended.
func (s *session) adoptCounts() {
	f := s.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if before := f.e; before != nil {
		before.mu.Lock()
		s.e.counts, s.e.last, s.e.started = before.counts, before.last, before.started
		before.mu.Unlock()
	}
	f.e = s.e
}

const (
	// impatience is how long the main loop, which flushes, waits for leaders;
	// patience how long a partition may be without one before that is a fault.
	impatience = time.Second
	// lookFor is the deadline of each of its requests: a broker that stands still holds flushes up
	// no longer.
	lookFor  = 2 * time.Second
	patience = time.Minute
)

// flushEvery leaves a tenth of Flush for fetching.
func (f *Follower) flushEvery() time.Duration { return max(f.cfg.Flush*9/10, time.Millisecond) }
