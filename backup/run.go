package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/storage"
)

// checkpoint is how often a Run commits what is durable, so that a crash
// costs little. Such commits are incomplete: nobody takes them for a cut.
const checkpoint = 10 * time.Second

// Run takes one snapshot: the last stable offsets of all partitions, taken
// once at the start, are the cut. Only what the archive doesn't hold yet is
// read. A run that was broken off is gone on with by running it again.
//
// Errors: a *[ConfigError] before any I/O; a *[UnknownTopicError]; a
// *[ConnectError] where the source can't be used; a *[WrongClusterError] where
// another cluster has answered at its address, and the right one hasn't for 30 s; storage.ErrFenced
// where another writer took over; a *[PartialError], together with a Result, where
// the snapshot is there but partitions couldn't be read, and a *[GroupsError]
// where committed offsets couldn't.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	h := &hooks{h: cfg.Hooks, logger: cfg.Logger}
	c, err := connect(ctx, cfg, h)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ctx, done := c.Bounded(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &run{cfg: cfg, hooks: h, c: c, result: &Result{}}
	result, err := r.whole(ctx, cancel)
	return result, wrap(done(err))
}

// whole is all of a Run that needs the source.
func (r *run) whole(ctx context.Context, cancel context.CancelFunc) (*Result, error) {
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	defer r.e.abandon()
	defer cancel()
	return r.run(ctx)
}

// run is a Run under way.
type run struct {
	cfg    Config
	hooks  *hooks
	c      *rawkafka.Cluster
	e      *engine
	full   full
	result *Result
	// failed counts store errors in a row.
	failed  int
	objects int64
}

// prepare reads everything but records; groups before the cut.
func (r *run) prepare(ctx context.Context) error {
	r.full.at = time.Now()
	s, err := selectTopics(ctx, r.c, r.cfg)
	if err != nil {
		return err
	}
	w, err := claim(ctx, r.cfg, r.c.ID(), "backup")
	if err != nil {
		return err
	}
	described, err := describeTopics(ctx, r.c, s.selected)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if r.full.cluster, err = describeCluster(ctx, r.c, s.left.names()); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	groups, unread, err := readGroups(ctx, r.c, r.cfg, w.Snapshot())
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if unread != "" {
		r.full.cluster.Unread["groups"] = unread
	}
	r.full.groups = groups
	r.result.LeftOut, r.result.LeftOutWhy, r.result.Unread = s.left.names(), s.left.why(), r.full.cluster.Unread
	stable, err := stableOffsets(ctx, r.c, s.selected)
	if err == nil {
		err = r.askAgain(ctx, stable)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	r.full.at = time.Now()
	r.e = newEngine(ctx, r.cfg, r.c, w, r.hooks)
	r.e.partial = true
	return r.begin(ctx, s, described, stable)
}

// stableOffsets is the cut: one round of ListOffsets.
func stableOffsets(ctx context.Context, c *rawkafka.Cluster, topics map[string]rawkafka.Topic) (map[rawkafka.Partition]rawkafka.Offset, error) {
	var ps []rawkafka.Partition
	for _, t := range topics {
		for _, p := range t.Partitions {
			ps = append(ps, rawkafka.Partition{Topic: t.Name, TopicID: t.ID, Partition: p.Partition})
		}
	}
	return c.ListOffsets(ctx, ps, rawkafka.Latest, rawkafka.ReadCommitted, rawkafka.Consumer)
}

// cutTries is how often a leader that doesn't know its partition is asked for the cut: the
// partition may be new to it, or gone.
const cutTries = 5

// askAgain asks such leaders again.
func (r *run) askAgain(ctx context.Context, stable map[rawkafka.Partition]rawkafka.Offset) error {
	for n := 1; n < cutTries; n++ {
		var unknown []rawkafka.Partition
		for p, o := range stable {
			if rawkafka.Unknown(o.Err) {
				unknown = append(unknown, p)
			}
		}
		if len(unknown) == 0 {
			return nil
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
		got, err := r.c.ListOffsets(ctx, unknown, rawkafka.Latest, rawkafka.ReadCommitted, rawkafka.Consumer)
		if err != nil {
			return err
		}
		maps.Copy(stable, got)
	}
	return nil
}

// begin sets the cut and looks at every partition.
func (r *run) begin(ctx context.Context, s seen, described []storage.Topic, stable map[rawkafka.Partition]rawkafka.Offset) error {
	e := r.e
	if err := e.load(ctx); err != nil {
		return err
	}
	known, err := e.look(ctx, source.Query{Cluster: e.c, Everywhere: true, Known: e.known()})
	if err != nil {
		return err
	}
	s.became = known.Verdicts
	look, err := e.adoptAll(ctx, s, described)
	if err != nil {
		return err
	}
	e.mu.Lock()
	for i, f := range look {
		o := stable[f.part.Partition]
		if f.err == nil && o.Err == nil {
			f.stable, f.lastStable = o.Offset, o.Offset
			f.cut = max(o.Offset, f.now.offset)
		}
		look[i].err = errors.Join(f.err, o.Err)
	}
	e.mu.Unlock()
	if err := e.examine(ctx, look); err != nil {
		return err
	}
	for _, f := range look {
		if err := stable[f.part.Partition].Err; err != nil {
			e.uncut(f.part, err)
		}
	}
	return nil
}

// uncut notes a fault where a partition that can be read has no cut: its reading would never end.
func (e *engine) uncut(p *part, err error) {
	e.mu.Lock()
	endless := p.fault == nil && !p.gone()
	e.mu.Unlock()
	if endless {
		e.fault(p, fmt.Errorf("last stable offset: %w", err))
	}
}

func (r *run) run(ctx context.Context) (*Result, error) {
	g, gctx := errgroup.WithContext(ctx)
	fctx, stop := context.WithCancel(gctx)
	defer stop()
	g.Go(func() error {
		if err := r.e.reader.Run(fctx); fctx.Err() == nil || gctx.Err() != nil {
			return err
		}
		return nil // stopped
	})
	g.Go(func() error {
		defer stop()
		return r.loop(gctx)
	})
	if err := g.Wait(); err != nil {
		return nil, r.wrap(err)
	}
	return r.finish()
}

func (r *run) wrap(err error) error {
	if errors.Is(err, storage.ErrFenced) {
		return fmt.Errorf("backup: commit: %w", err)
	}
	return fmt.Errorf("backup: %w", err)
}

// loop reads up to the cut and commits the snapshot.
func (r *run) loop(ctx context.Context) error {
	r.e.poke() // there may be nothing to read
	flush := time.NewTicker(checkpoint)
	defer flush.Stop()
	progress := time.NewTicker(time.Second)
	defer progress.Stop()
	for {
		select {
		case <-r.e.wake:
		case <-flush.C:
			if err := r.step(ctx, func() error { return r.commit(ctx, nil) }); err != nil {
				return err
			}
		case <-progress.C:
			r.hooks.progress(r.e.status())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := r.step(ctx, func() error { return r.e.examine(ctx, r.e.takeFailures()) }); err != nil {
			return err
		}
		if r.e.crowded() {
			if err := r.step(ctx, func() error { return r.commit(ctx, nil) }); err != nil {
				return err
			}
		}
		if !r.e.done() {
			continue
		}
		if err := r.step(ctx, func() error { return r.commit(ctx, &r.full) }); err != nil {
			return err
		}
		if r.result.Snapshot.ID != "" {
			return nil
		}
	}
}

func (r *run) commit(ctx context.Context, f *full) error {
	info, err := r.e.commit(ctx, f, f == nil)
	if err != nil {
		return err
	}
	if info.ID != "" {
		r.hooks.commit(info)
	}
	if f != nil {
		r.result.Snapshot = info
	}
	return nil
}

// step does what may meet a store error, and reads again what the store lost.
func (r *run) step(ctx context.Context, do func() error) error {
	err := do()
	if berr := r.e.isBroken(); berr != nil {
		err = berr
	}
	if n := r.e.status().Objects; n > r.objects {
		r.objects, r.failed = n, 0
	}
	var change *storage.ChangeError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, storage.ErrFenced), errors.As(err, &change), r.failed >= r.cfg.storeTries:
		return err
	}
	r.failed++
	r.hooks.retry("store", err)
	if err := rawkafka.Sleep(ctx, rawkafka.Backoff(r.failed)); err != nil {
		return err
	}
	r.e.poke()
	return r.e.rollback(ctx)
}

func (r *run) finish() (*Result, error) {
	s := r.e.status()
	r.result.Records, r.result.Bytes, r.result.Objects = s.Records, s.Bytes, s.Objects
	r.result.Duration = millis.Duration(time.Since(r.e.started))
	r.hooks.progress(s)
	e := r.e
	e.mu.Lock()
	defer e.mu.Unlock()
	r.result.Holes, r.result.Truncated = e.counts.found, e.counts.ended
	var partial error
	if errs := e.faults(); len(errs) > 0 {
		partial = &PartialError{Errs: errs}
	}
	if r.cfg.SkipGroups {
		return r.result, partial
	}
	unread := unreadGroups(r.full.groups, r.full.cluster.Unread["groups"])
	if partial != nil && unread != nil {
		return r.result, errors.Join(partial, unread)
	}
	return r.result, cmp.Or(partial, unread)
}
