package source

import (
	"context"
	"errors"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Sink is a job that a Loop reads for. Its methods may be called concurrently, for partitions of
// different brokers.
type Sink interface {
	// Wanted is how a partition is to be read now. One that the job doesn't know isn't read.
	Wanted(p rawkafka.Partition) Want
	// Arrived takes a response of a partition in, in order, and waits while there is no room. steer
	// says that the partition isn't to be read as before. An error ends Run.
	Arrived(ctx context.Context, r rawkafka.Fetched) (steer bool, err error)
	// Failed says that a partition isn't read any more, and why: where that is [Suspicious], it
	// must be looked at. It must not block, nor steer.
	Failed(p rawkafka.Partition, err error)
}

// Want is how a partition is to be read: from a position on, or not for a while, though what was
// asked for still comes, or, where it is zero, not at all.
type Want struct {
	Read, Hold bool
	At         rawkafka.Position
}

// Loop reads the partitions that a job follows: nobody else speaks to the fetcher.
type Loop struct {
	f    *rawkafka.Fetcher
	sink Sink

	mu sync.Mutex // held while the fetcher is told; the sink's own lock never is
}

// NewLoop makes a Loop that reads for a sink.
func NewLoop(c *rawkafka.Cluster, cfg rawkafka.FetchConfig, sink Sink) *Loop {
	l := &Loop{sink: sink}
	l.f = rawkafka.NewFetcher(c, cfg, (*handler)(l))
	return l
}

// Run reads until the context ends or the sink fails.
func (l *Loop) Run(ctx context.Context) error { return l.f.Run(ctx) }

// Steer has partitions read as they are wanted now. Whoever changes that calls it afterwards; of
// several, the last one's holds.
func (l *Loop) Steer(ps ...rawkafka.Partition) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range ps {
		switch w := l.sink.Wanted(p); {
		case w.Read:
			l.f.Set(p, w.At)
		case w.Hold:
			l.f.Pause(p)
		default:
			l.f.Remove(p)
		}
	}
}

// handler is the Loop as the fetcher sees it.
type handler Loop

// Fetched implements [rawkafka.Handler].
func (h *handler) Fetched(ctx context.Context, r rawkafka.Fetched) error {
	steer, err := h.sink.Arrived(ctx, r)
	if steer {
		(*Loop)(h).Steer(r.Partition)
	}
	return err
}

// Failed implements [rawkafka.Handler].
func (h *handler) Failed(p rawkafka.Partition, err error) { h.sink.Failed(p, err) }

// Suspicious errors are no faults: the log must be looked at.
func Suspicious(err error) bool {
	for _, is := range []error{rawkafka.ErrLeaderChanged, rawkafka.ErrDiverged, kerr.OffsetOutOfRange} {
		if errors.Is(err, is) {
			return true
		}
	}
	return err == nil || rawkafka.Unknown(err)
}
