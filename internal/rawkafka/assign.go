package rawkafka

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// lane is a broker, and which of its two loops: one asks for many partitions
// at once, the other for one at a time, of those that may be slow to read.
type lane struct {
	broker int32
	alone  bool
}

// server is a loop that reads from one broker.
type server struct {
	lane
	order []*reading    // who comes first in the next request
	wake  chan struct{} // holds a token when there may be somebody to ask for
}

// assign gives partitions without a broker to the loop of their leader, or of
// the replica that it prefers.
func (f *Fetcher) assign(ctx context.Context, g *errgroup.Group) error {
	for {
		due, next := f.unassigned()
		if len(due) > 0 {
			f.assignTo(ctx, g, due, f.c.lead(ctx, due))
		}
		if err := f.rest(ctx, next); err != nil {
			return err
		}
	}
}

// rest waits until there is something to assign; a zero time is never.
func (f *Fetcher) rest(ctx context.Context, next time.Time) error {
	var timer <-chan time.Time
	if !next.IsZero() {
		t := time.NewTimer(time.Until(next))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-f.wake:
	case <-timer:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// unassigned lists whom to assign now, and when the next is due.
func (f *Fetcher) unassigned() (due []Partition, next time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for p, r := range f.parts {
		switch {
		case r.broker >= 0 || r.finished || r.paused:
		case !r.due.After(now):
			due = append(due, p)
		case next.IsZero() || r.due.Before(next):
			next = r.due
		}
	}
	return due, next
}

func (f *Fetcher) assignTo(ctx context.Context, g *errgroup.Group, due []Partition, leaders map[Partition]leader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range due {
		r, l := f.parts[p], leaders[p]
		switch {
		case r == nil || r.broker >= 0 || r.paused || ctx.Err() != nil:
		case l.err != nil:
			f.failedLocked(r, l.err)
		case r.epoch >= 0 && l.epoch != r.epoch:
			r.removed = true
			delete(f.parts, p)
			f.h.Failed(p, ErrLeaderChanged)
		default:
			r.epoch = l.epoch
			f.give(ctx, g, r, l.broker)
		}
	}
}

func (f *Fetcher) give(ctx context.Context, g *errgroup.Group, r *reading, leader int32) {
	r.broker = leader
	if r.replica >= 0 {
		r.broker = r.replica
	}
	r.solo = r.alone
	s := f.serving[r.lane()]
	if s == nil {
		s = &server{lane: r.lane(), wake: make(chan struct{}, 1)}
		f.serving[s.lane] = s
		g.Go(func() error { return f.serve(ctx, s) })
	}
	s.order = append(s.order, r)
	s.poke()
}

// lane is where the partition was assigned to.
func (r *reading) lane() lane { return lane{r.broker, r.solo} }

func (s *server) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// unassign takes the partition from its loop; f.mu is held.
func (f *Fetcher) unassign(r *reading) {
	if s := f.serving[r.lane()]; s != nil {
		s.order = slices.DeleteFunc(s.order, func(o *reading) bool { return o == r })
	}
	r.broker = -1
}
