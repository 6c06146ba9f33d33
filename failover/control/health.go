package control

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/probe"
)

// watch is a monitor of one cluster.
type watch struct {
	monitor *probe.Monitor

	mu sync.Mutex
	// failed is when the failures began that haven't ended, last when the last look did, stale how
	// old that may be.
	failed, last time.Time
	stale        time.Duration
}

// newWatch makes one that calls changed where the cluster's state changes. id is the cluster's by
// the register, empty while that says none.
func newWatch(cfg *Config, c failover.Cluster, id func() string, changed func()) (*watch, error) {
	w := &watch{stale: 2 * cfg.Health.Detection()}
	var err error
	w.monitor, err = probe.NewMonitor(anyPath(known(cfg.Probe, cfg.tuning.identify, id), c), probe.Target{Name: c.Name, Opts: c.Opts}, cfg.Health, probe.Hooks{OnResult: w.take, OnChange: func(probe.Change) { changed() }})
	return w, err
}

// known is a probe that takes a stranger at a cluster's address for the cluster being away: where
// the register has its ID, what a probe finds healthy, or to be another cluster, is asked for its
// own.
func known(p probe.Probe, identify func(id string) probe.Probe, id func() string) probe.Probe {
	return func(ctx context.Context, t probe.Target) error {
		err := p(ctx, t)
		want := id()
		if want == "" || identify == nil || err != nil && probe.KindOf(err) != probe.WrongCluster {
			return err
		}
		if other := identify(want)(ctx, t); probe.KindOf(other) == probe.WrongCluster {
			return &probe.Fault{Kind: probe.Unreachable, Cluster: t.Name, Probe: "register", Err: other}
		}
		return err
	}
}

// anyPath is a probe for which one of a cluster's paths is enough. It returns with its context,
// whatever the probe does.
func anyPath(p probe.Probe, c failover.Cluster) probe.Probe {
	on := func(t probe.Target) probe.Probe {
		return func(ctx context.Context, _ probe.Target) error {
			said, err := bounded(ctx, time.Hour, func(ctx context.Context) (error, error) { return p(ctx, t), nil }) // the rule's timeout is in the context
			return cmp.Or(err, said)                                                                                 // late or not, what it says is for the rule to judge
		}
	}
	var all []probe.Probe
	for _, opts := range c.AllPaths() {
		all = append(all, on(probe.Target{Name: c.Name, Opts: opts}))
	}
	if len(all) == 1 {
		return all[0]
	}
	return probe.AnyOf(all...)
}

func (w *watch) take(r probe.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Now()
	switch {
	case r.OK:
		w.failed = time.Time{}
	case r.Failed && w.failed.IsZero():
		w.failed = r.At
	}
}

// state is what holds now. A verdict that is old, because the machine was suspended, is none.
func (w *watch) state() probe.Status {
	s := w.monitor.Status()
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.State == probe.Down && elapsed(w.last) > w.stale {
		s.State = probe.Suspect
	}
	return s
}

// since is when the failures began.
func (w *watch) since() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}
