package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// session is a Follower's main loop under one claim.
type session struct {
	f *Follower
	e *engine
	// pending is a full snapshot that waits for its cut.
	pending *pending
	// failed counts store errors in a row; nothing is tried before retry.
	failed int
	retry  time.Time
}

// pending is a full snapshot whose cut isn't reached yet.
type pending struct {
	full
	cut   map[*part]int64 // -1: not known yet
	since time.Time
}

const (
	// look is how often it is looked whether a full snapshot's cut is reached.
	look = 50 * time.Millisecond
	// stopTries is how often Stop tries to commit.
	stopTries = 5
)

// loop does everything but reading until Stop, an error that isn't passing, or
// the context's end.
func (s *session) loop(ctx context.Context) error {
	c := s.f.cfg
	flush, full, discover := time.NewTicker(s.f.flushEvery()), time.NewTicker(c.Every), time.NewTicker(c.Discover)
	watch, progress := time.NewTicker(look), time.NewTicker(time.Second)
	defer func() {
		for _, t := range []*time.Ticker{flush, full, discover, watch, progress} {
			t.Stop()
		}
	}()
	if err := s.begin(ctx); err != nil {
		return err
	}
	for {
		var err error
		select {
		case <-s.f.stop:
			return s.finish(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-progress.C:
			s.e.hooks.progress(s.e.status())
		case <-s.e.wake:
			err = s.store(ctx, func() error { return s.woken(ctx) })
		case <-flush.C:
			err = s.store(ctx, func() error { return s.commit(ctx, nil) })
		case <-discover.C:
			err = s.source(ctx, s.discover)
		case <-full.C:
			err = s.source(ctx, s.prepare)
		case <-watch.C:
			err = s.watch(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// watch commits a full snapshot whose cut is reached, and looks again at
// partitions that couldn't be looked at.
func (s *session) watch(ctx context.Context) error {
	if due := s.e.due(false); len(due) > 0 {
		if err := s.store(ctx, func() error { return s.e.examine(ctx, due) }); err != nil {
			return err
		}
	}
	if !s.ready() {
		return nil
	}
	return s.store(ctx, func() error { return s.commit(ctx, s.pending) })
}

// woken looks at what the fetcher gave back, and commits where much waits.
func (s *session) woken(ctx context.Context) error {
	if err := s.e.examine(ctx, s.e.takeFailures()); err != nil || !s.e.crowded() {
		return err
	}
	return s.commit(ctx, nil)
}

// begin looks at the source for the first time; what goes wrong now ends the job.
func (s *session) begin(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return s.store(ctx, func() error { return nil })
}

// source does what needs the source, which may be away.
func (s *session) source(ctx context.Context, do func(context.Context) error) error {
	err := do(ctx)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if s.fatal(err) {
		return err
	}
	s.f.hooks.retry("metadata", err)
	return s.store(ctx, func() error { return nil })
}

// store does what needs the store, which may be away: then what isn't durable
// is read again, after a pause.
func (s *session) store(ctx context.Context, do func() error) error {
	if time.Now().Before(s.retry) {
		s.e.poke()
		return rawkafka.Sleep(ctx, min(time.Until(s.retry), look))
	}
	err := do()
	broken := s.e.isBroken()
	switch {
	case err == nil && broken == nil:
		s.failed = 0
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil || errors.Is(err, broken):
		err = broken
	case s.fatal(err):
		return err
	}
	s.failed++
	s.retry = time.Now().Add(rawkafka.Backoff(s.failed))
	s.f.hooks.retry("store", err)
	if s.e.isBroken() == nil {
		return nil // a commit failed: what is durable stays so
	}
	return s.e.rollback(ctx)
}

// fatal errors don't pass.
func (s *session) fatal(err error) bool {
	var change *storage.ChangeError
	return errors.Is(err, storage.ErrFenced) || errors.As(err, &change)
}

func (s *session) commit(ctx context.Context, p *pending) error {
	var f *full
	if p != nil {
		f = &p.full
	}
	info, err := s.e.commit(ctx, f, s.e.partial && f == nil)
	if err != nil {
		return err
	}
	if f != nil {
		s.pending, s.e.partial = nil, false
	}
	if info.ID != "" {
		s.f.hooks.commit(info)
	}
	return nil
}

// prepare reads all but records for a full snapshot, groups before the cut.
func (s *session) prepare(ctx context.Context) error {
	if s.pending != nil {
		return nil // the one before isn't done
	}
	e := s.e
	seen, described, err := s.topics(ctx)
	if err != nil {
		return err
	}
	p := &pending{since: time.Now(), cut: make(map[*part]int64)}
	if p.cluster, err = describeCluster(ctx, e.c, seen.left.names()); err != nil {
		return err
	}
	groups, unread, err := readGroups(ctx, e.c, e.cfg, e.w.Snapshot())
	if err != nil {
		return err
	}
	p.groups = groups
	if unread != "" {
		p.cluster.Unread["groups"] = unread
	}
	if err := unreadGroups(groups, unread); err != nil && !e.cfg.SkipGroups {
		e.cfg.Logger.Warn("groups can't be read", "err", err)
	}
	stable, err := stableOffsets(ctx, e.c, seen.selected)
	if err != nil {
		return err
	}
	p.at = time.Now()
	if err := s.adopt(ctx, seen, described); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, o := range stable {
		part := e.parts[id]
		if part == nil {
			continue
		}
		if o.Err != nil { // its next answer tells
			o.Offset, part.lastStable = -1, -1
		}
		p.cut[part] = o.Offset
		part.lastStable = max(part.lastStable, o.Offset)
	}
	s.pending = p
	return nil
}

// topics are the source's, by every broker.
func (s *session) topics(ctx context.Context) (seen seen, described []storage.Topic, err error) {
	if seen, err = s.look(ctx, true); err == nil {
		described, err = describeTopics(ctx, s.e.c, seen.selected)
	}
	return seen, described, err
}

// look looks at the source's topics. whole has every broker list them.
func (s *session) look(ctx context.Context, whole bool) (seen, error) {
	q := query(s.e.c, s.e.cfg.selection, whole)
	q.Known = s.e.known()
	l, err := s.e.look(ctx, q)
	return divide(l, s.e.cfg.selection), err
}

// adopt takes in what is new and marks what is gone.
func (s *session) adopt(ctx context.Context, seen seen, described []storage.Topic) error {
	look, err := s.e.adoptAll(ctx, seen, described)
	if err != nil {
		return err
	}
	return s.e.examine(ctx, look)
}

// ready says whether the pending snapshot's cut is reached. It is waited for
// no longer than until the next one is due, but the lineage's first is a cut.
func (s *session) ready() bool {
	if s.pending == nil || time.Now().Before(s.retry) {
		return false
	}
	if !s.e.partial && time.Since(s.pending.since) > s.f.cfg.Every {
		return true
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	for p, cut := range s.pending.cut {
		if cut < 0 {
			cut = p.lastStable
			s.pending.cut[p] = cut
		}
		if (cut < 0 || p.now.offset < cut) && p.fault == nil && !p.gone() {
			return false
		}
	}
	return true
}

// discover looks for new, grown, re-created and deleted topics, and again at
// partitions that couldn't be read.
func (s *session) discover(ctx context.Context) error {
	seen, err := s.look(ctx, false)
	if err != nil {
		return err
	}
	news := s.news(seen.selected)
	var described []storage.Topic
	if len(news) > 0 {
		if described, err = describeTopics(ctx, s.e.c, news); err != nil {
			return err
		}
	}
	if err := s.adopt(ctx, seen, described); err != nil {
		return err
	}
	return s.e.examine(ctx, s.e.due(true))
}

// news are topics whose incarnation or partitions aren't known.
func (s *session) news(selected map[string]rawkafka.Topic) map[string]rawkafka.Topic {
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	news := make(map[string]rawkafka.Topic)
	for name, t := range selected {
		known := s.e.topics[t.ID]
		if t.Err == nil && (known == nil || known.Partitions < int32(len(t.Partitions)) || !known.Deleted.IsZero()) {
			news[name] = t
		}
	}
	return news
}

// finish commits what was read.
func (s *session) finish(ctx context.Context) error {
	for n := 1; ; n++ {
		var p *pending
		if s.ready() {
			p = s.pending
		}
		err := s.commit(ctx, p)
		if err == nil {
			return nil
		}
		if s.fatal(err) || ctx.Err() != nil {
			return err
		}
		if n == stopTries {
			return fmt.Errorf("%w: %w", errStopped, err)
		}
		s.f.hooks.retry("store", err)
		if s.e.isBroken() != nil {
			if err := s.e.rollback(ctx); err != nil {
				return err
			}
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
}
