package control

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestNoScope: a controller begins no scope: a plan is an error, and one that runs says so, until
// an operator begins it.
func TestNoScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, err := New(w.config("one"))
		if err != nil {
			t.Fatal(err)
		}
		var none *register.NoScopeError
		if _, err := c.Plan(t.Context(), "b", Failover); !errors.As(err, &none) || none.Scope != "default" {
			t.Error(err)
		}
		go func() { _ = c.Run(t.Context()) }()
		time.Sleep(time.Minute) //nolint:forbidigo // simulated time
		if st := c.Status(); st.State != StateStarting || !strings.Contains(st.Detail, "no epoch") || len(w.history()) > 0 {
			t.Errorf("%+v, %v", st, w.history())
		}
		begin(t, w.config("operator"))
		time.Sleep(2 * time.Second) //nolint:forbidigo // simulated time
		if st := c.Status(); st.State != StateFollowing {
			t.Errorf("%+v", st)
		}
	})
}

// TestLeaseOfTheLastTwo has a scope's lease be shortened: a client may still have the longer one,
// for which the next switch waits. What it opens carries the shorter one, and the next switch waits
// for that.
func TestLeaseOfTheLastTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := w.config("one")
		cfg.Lease, cfg.Switch.Fence, cfg.Switch.IgnoreTail, cfg.Switch.Tail = 30*time.Second, nil, true, nil
		begin(t, cfg)
		last, err := register.Latest(t.Context(), w.reg, "default")
		if err != nil {
			t.Fatal(err)
		}
		values := register.Epoch{Lease: time.Second, Clusters: []register.Member{{Name: "a"}, {Name: "b"}}, By: "operator"}
		if _, err := register.Change(t.Context(), w.reg, last, values); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			to   string
			want time.Duration
		}{{"b", 30 * time.Second}, {"a", time.Second}} {
			report, err := w.plan(w.controller(cfg), step.to, Failover).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := inMillis(step.want + step.want/1000); report.LeaseMillis != got {
				t.Errorf("to %s: waited %v ms, want %v", step.to, report.LeaseMillis, got)
			}
			closing, opening := w.epoch(report.Closed), w.epoch(report.Opened)
			if closing.Lease != step.want || opening.Lease != time.Second {
				t.Errorf("to %s: closing with %v, opening with %v", step.to, closing.Lease, opening.Lease)
			}
			if diff := cmp.Diff([]register.Member{{Name: "a", ID: "id-a"}, {Name: "b", ID: "id-b"}}, opening.Clusters); diff != "" || opening.ActiveID != "id-"+step.to {
				t.Error(diff, opening.ActiveID)
			}
		}
	})
}

func (w *world) epoch(number int64) register.Epoch {
	w.t.Helper()
	e, err := w.reg.Get(w.t.Context(), "default", number)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// TestRegistersClusters: names and IDs are the register's, whatever is configured.
func TestRegistersClusters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := w.config("one")
		first := register.Epoch{Active: "a", Lease: time.Second, Clusters: []register.Member{{Name: "a", ID: "id-a"}, {Name: "b", ID: "id-b"}}}
		if _, err := register.Begin(t.Context(), w.reg, "default", first); err != nil {
			t.Fatal(err)
		}
		cfg.Clusters[1].ID = "mistyped"
		p := w.plan(w.controller(cfg), "b", Failover)
		if len(p.Conflicts) > 0 || !strings.Contains(p.String(), "the ID of b is id-b by the register, which holds; configured is mistyped") {
			t.Error(p)
		}
		cfg.Clusters[1].ID, w.views["b"].id = "", "id-c"
		p = w.plan(w.controller(cfg), "b", Failover)
		if len(p.Conflicts) != 1 || p.Conflicts[0].Kind != ConflictClusterID {
			t.Error(p)
		}
		cfg.Clusters[1].Name = "z"
		p = w.plan(w.controller(cfg), "z", Failover)
		if len(p.Conflicts) != 1 || p.Conflicts[0].Kind != ConflictUnknownCluster || !strings.Contains(p.String(), "b, one of the scope's clusters by its register, isn't configured") {
			t.Error(p)
		}
	})
}

// TestStranger: where another cluster has come to the source's address, a forced switch takes the
// source for away, waits for the lease, and the fencer is told which cluster it is for.
func TestStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := w.config("one")
		fence := &toldWhom{}
		cfg.Switch.Fence = fence
		first := register.Epoch{Active: "a", Lease: 10 * time.Second, Clusters: []register.Member{{Name: "a", ID: "id-a"}, {Name: "b", ID: "id-b"}}}
		if _, err := register.Begin(t.Context(), w.reg, "default", first); err != nil {
			t.Fatal(err)
		}
		c := w.controller(cfg)
		if p := w.plan(c, "b", Failover); len(p.Conflicts) > 0 {
			t.Fatal(p)
		}
		w.views["a"].id = "a-stranger"
		p := w.plan(c, "b", Failover)
		if len(p.Conflicts) > 0 || !strings.Contains(p.String(), "a is away: at its address another cluster answers: its ID is a-stranger, not id-a") {
			t.Error(p)
		}
		report, err := p.Run(t.Context())
		if opening := w.epoch(3); err != nil || report.FenceConfirmed || report.LeaseMillis == 0 || opening.ID("a") != "id-a" {
			t.Error(err, report, opening)
		}
		if fence.id != "id-a" {
			t.Errorf("the fence was for %q", fence.id)
		}
	})
}

// toldWhom is a fencer that notes for which cluster it is, and confirms.
type toldWhom struct{ id string }

func (f *toldWhom) Fence(_ context.Context, r FenceRequest) (bool, error) {
	f.id = r.Cluster.ID
	return true, nil
}

func (f *toldWhom) Lift(context.Context, FenceRequest) error { return nil }

// TestKnown: a cluster that a probe finds healthy is down where the register has another ID for it.
func TestKnown(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	target := probe.Target{Name: "a", Opts: cl.Opts()}
	identify := func(id string) probe.Probe { return probe.Metadata(probe.MetadataConfig{ClusterID: id}) }
	fault := func(kind probe.Kind) error { return &probe.Fault{Kind: kind, Cluster: "a", Probe: "test"} }
	for name, c := range map[string]struct {
		says error
		id   string
		want probe.Kind
		down bool
	}{
		"the right one":            {nil, cl.ID(), "", false},
		"not known":                {nil, "", "", false},
		"a stranger":               {nil, "another", probe.Unreachable, true},
		"a stranger by both":       {fault(probe.WrongCluster), "another", probe.Unreachable, true},
		"a stranger by the probe":  {fault(probe.WrongCluster), cl.ID(), probe.WrongCluster, false},
		"refused, and not asked":   {fault(probe.Auth), "another", probe.Auth, false},
		"offline, and not asked":   {fault(probe.Offline), cl.ID(), probe.Offline, true},
		"a stranger, no ID so far": {fault(probe.WrongCluster), "", probe.WrongCluster, false},
	} {
		p := known(func(context.Context, probe.Target) error { return c.says }, identify, func() string { return c.id })
		err := p(t.Context(), target)
		if probe.KindOf(err) != c.want || probe.SaysDown(err) != c.down {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestChangeTakenBack: where the writer of a change of values dies, controllers go back to the
// cluster that is active, not to the other one.
func TestChangeTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, _, stop := w.start(w.config("one"))
		defer stop()
		time.Sleep(10 * time.Second) //nolint:forbidigo // simulated time
		last := w.epoch(1)
		if _, err := register.Advance(t.Context(), w.reg, last, register.Epoch{From: "a", Target: "b", Switch: "s", Stays: true, Lease: last.Lease, By: "operator"}); err != nil {
			t.Fatal(err)
		}
		p := w.plan(c, "b", Failover)
		if len(p.Conflicts) != 1 || p.Conflicts[0].Kind != ConflictSwitching {
			t.Error(p)
		}
		time.Sleep(10 * time.Minute) //nolint:forbidigo // simulated time
		if e := w.epoch(3); e.Active != "a" || !e.Stays || len(e.Forks) > 0 {
			t.Errorf("%+v", e)
		}
	})
}
