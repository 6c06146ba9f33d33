package failover

import (
	"context"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Health is what a controller's probes say of a cluster.
type Health string

// Healths.
const (
	// HealthUnknown: it wasn't looked at yet.
	HealthUnknown Health = "unknown"
	HealthUp      Health = "up"
	// HealthSuspect: a probe has failed, or a cluster that was down has begun to answer; the rule doesn't say yet.
	HealthSuspect Health = "suspect"
	HealthDown    Health = "down"
)

// ClusterHealth is how a cluster is.
type ClusterHealth struct {
	Name   string `json:"name"`
	Health Health `json:"health"`
	// Since is when that began: where it is down or suspect, the first failure.
	Since time.Time `json:"since,omitzero"`
	// At is when the last probe ended.
	At time.Time `json:"at,omitzero"`
	// Error is the last failure, where it isn't up.
	Error string `json:"error,omitempty"`
}

// watch probes one cluster.
type watch struct {
	target probe.Target
	probe  probe.Probe
	every  time.Duration

	mu            sync.Mutex
	now           ClusterHealth
	fails, passes int
}

// failures and successes in a row are what it takes to be down, and to be up again.
const (
	failures  = 3
	successes = 3
	// patienceOfProbe is a probe's timeout, in intervals.
	patienceOfProbe = 5
)

// run probes until the context ends.
func (w *watch) run(ctx context.Context) {
	for ctx.Err() == nil {
		start := time.Now()
		err := boundedErr(ctx, w.every*patienceOfProbe, func(ctx context.Context) error { return w.probe(ctx, w.target) })
		if ctx.Err() != nil {
			return
		}
		w.take(start, err)
		_ = rawkafka.Sleep(ctx, w.every) // from its end: what failed slowly isn't counted again at once
	}
}

// take counts a probe.
func (w *watch) take(start time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.now.Health
	w.now.At = time.Now()
	if err != nil {
		w.passes = 0
		if w.fails++; w.fails == 1 {
			w.now.Since = start
		}
		w.now.Error = err.Error()
		if was != HealthDown {
			w.now.Health = HealthSuspect
		}
		if w.fails >= failures {
			w.now.Health = HealthDown
		}
		return
	}
	w.fails = 0
	if w.passes++; was == HealthUp || was == HealthDown && w.passes < successes {
		return
	}
	w.now = ClusterHealth{Name: w.now.Name, Health: HealthUp, Since: start, At: w.now.At}
}

// state is what holds now. A verdict that is old, because the machine was suspended, is none.
func (w *watch) state() ClusterHealth {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now
	if !now.At.IsZero() && elapsed(now.At) > 2*w.every*patienceOfProbe {
		now.Health = HealthSuspect
	}
	return now
}
