package control

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
)

func TestConfigFaults(t *testing.T) {
	opts := []kgo.Opt{kgo.SeedBrokers("x:1")}
	_, err := New(Config{
		Clusters: []failover.Cluster{{Name: "A", Opts: opts}, {Name: "b"}, {Name: "b", Opts: opts}}, Lease: -1,
		Switch: SwitchConfig{Topics: []string{"("}, Budget: &Budget{Records: -1}, Tail: simTail{}, IgnoreTail: true, Deadlines: Deadlines{Open: -1}},
	})
	var fault *failover.ConfigError
	if !errors.As(err, &fault) || len(fault.Unwrap()) != 10 {
		t.Fatal(err)
	}
	for _, part := range []string{`"A"`, "Opts", "twice", "Register", "Lease", `topics "("`, "negative bound", "needs a Replication", "contradict", "Open of Deadlines"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q doesn't name %s", err, part)
		}
	}
	if _, err := New(Config{Register: register.NewMemory(), Clusters: []failover.Cluster{{Name: "a", Opts: opts}}}); !strings.Contains(err.Error(), "none to go to") {
		t.Error(err)
	}
}

func TestPlanConflicts(t *testing.T) {
	denied := func(w *world) {
		w.views["b"].topics["orders"] = topicView{partitions: 2, denied: true}
	}
	for _, tt := range []struct {
		name string
		how  How
		to   string
		set  func(*world, *Config)
		want []ConflictKind
	}{
		{name: "none"},
		{name: "active", to: "a", want: []ConflictKind{ConflictActive}},
		{name: "unknown", to: "c", want: []ConflictKind{ConflictUnknownCluster}},
		{name: "standby down", set: func(w *world, _ *Config) { w.down["b"] = errSim }, want: []ConflictKind{ConflictUnreachable}},
		{name: "source down", set: func(w *world, _ *Config) { w.down["a"] = errSim }},
		{name: "planned, source down", how: Switchover, set: func(w *world, _ *Config) { w.down["a"] = errSim }, want: []ConflictKind{ConflictUnreachable}},
		{name: "other cluster", set: func(_ *world, cfg *Config) { cfg.Clusters[1].ID = "id-c" }, want: []ConflictKind{ConflictClusterID}},
		{name: "a stranger at the source's address", set: func(_ *world, cfg *Config) { cfg.Clusters[0].ID = "id-c" }},
		{name: "planned, a stranger at the source's address", how: Switchover, set: func(_ *world, cfg *Config) { cfg.Clusters[0].ID = "id-c" }, want: []ConflictKind{ConflictClusterID}},
		{name: "same cluster", set: func(w *world, _ *Config) { w.views["b"].id = "id-a" }, want: []ConflictKind{ConflictClusterID}},
		{name: "topic missing", set: func(w *world, _ *Config) { delete(w.views["b"].topics, "orders") }, want: []ConflictKind{ConflictTopic}},
		{name: "left out", set: func(w *world, cfg *Config) {
			delete(w.views["b"].topics, "orders")
			cfg.Switch.Exclude = []string{"ord.*"}
		}},
		{name: "renamed", set: func(w *world, cfg *Config) {
			w.views["b"].topics = map[string]topicView{"a.orders": {partitions: 2}}
			cfg.Switch.Rename = func(from, _, topic string) string { return from + "." + topic }
		}},
		{name: "partitions missing", set: func(w *world, _ *Config) { w.views["a"] = view("id-a", 3) }, want: []ConflictKind{ConflictTopic}},
		{name: "offline", set: func(w *world, _ *Config) {
			w.views["b"].topics["orders"] = topicView{partitions: 2, offline: 1}
		}, want: []ConflictKind{ConflictOffline}},
		{name: "rights to come", set: func(w *world, _ *Config) { denied(w) }},
		{name: "rights missing", set: func(w *world, cfg *Config) {
			denied(w)
			cfg.Switch.Rights, cfg.Switch.Fence = nil, nil
		}, want: []ConflictKind{ConflictRights}},
		{name: "no copy to drain", how: Switchover, set: func(_ *world, cfg *Config) { cfg.Switch.Replication = nil }, want: []ConflictKind{ConflictReplication}},
		{name: "records", set: func(_ *world, cfg *Config) { cfg.Switch.Budget = &Budget{Records: 2} }, want: []ConflictKind{ConflictBudget}},
		{name: "records within", set: func(_ *world, cfg *Config) { cfg.Switch.Budget = &Budget{Records: 3} }},
		{name: "nothing", set: func(_ *world, cfg *Config) { cfg.Switch.Budget = &Budget{} }, want: []ConflictKind{ConflictBudget}},
		{name: "nothing, and none lacks", set: func(w *world, cfg *Config) {
			w.lag = Lag{At: time.Now()}
			cfg.Switch.Budget = &Budget{}
		}},
		{name: "age", set: func(_ *world, cfg *Config) { cfg.Switch.Budget = &Budget{Age: time.Millisecond} }, want: []ConflictKind{ConflictBudget}},
		{name: "old", set: func(w *world, cfg *Config) {
			w.lag.At = time.Now().Add(-time.Minute)
			cfg.Switch.Budget = &Budget{Age: 30 * time.Second}
		}, want: []ConflictKind{ConflictBudget}},
		{name: "lag unknown", set: func(w *world, cfg *Config) {
			w.fail["lag"] = errSim
			cfg.Switch.Budget = &Budget{Records: 1000}
		}, want: []ConflictKind{ConflictLagUnknown}},
		{name: "lag partly unknown", set: func(w *world, cfg *Config) {
			w.lag.Unknown = 1
			cfg.Switch.Budget = &Budget{Records: 1000}
		}, want: []ConflictKind{ConflictLagUnknown}},
		{name: "lag unknown, allowed", set: func(w *world, cfg *Config) {
			w.fail["lag"] = errSim
			cfg.Switch.Budget = &Budget{Records: 1000, AllowUnknown: true}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				cfg := w.config("one")
				if tt.set != nil {
					tt.set(w, &cfg)
				}
				if tt.how == "" {
					tt.how = Failover
				}
				p := w.plan(w.controller(cfg), tt.to, tt.how)
				var kinds []ConflictKind
				for _, c := range p.Conflicts {
					kinds = append(kinds, c.Kind)
				}
				if diff := cmp.Diff(tt.want, kinds); diff != "" {
					t.Errorf("%s\n%s", diff, p)
				}
				if len(w.took()) > 0 || len(w.history()) > 1 {
					t.Errorf("a plan has changed something: %v %v", w.took(), w.history())
				}
				if _, err := json.Marshal(p); err != nil {
					t.Error(err)
				}
				if len(tt.want) == 0 {
					return
				}
				report, err := p.Run(t.Context())
				var refused *RefusedError
				if !errors.As(err, &refused) || report.End != EndRefused || len(w.took()) > 0 || len(w.history()) > 1 {
					t.Error(err, report)
				}
			})
		})
	}
}

// TestPlanOfTheAbsent takes what is known of a source that is away from the epoch that made it
// active.
func TestPlanOfTheAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if _, err := w.plan(w.controller(w.config("one")), "b", Switchover).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.down["b"] = errSim
		w.views["a"] = view("id-a", 1)
		p := w.plan(w.controller(w.config("two")), "a", Failover)
		if len(p.Conflicts) != 1 || p.Conflicts[0].Kind != ConflictTopic {
			t.Error(p)
		}
	})
}

// TestStalePlan looks again before it does anything.
func TestStalePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.controller(w.config("one"))
		stays, moves, breaks := w.plan(c, "b", Failover), w.plan(c, "b", Failover), w.plan(c, "b", Failover)
		time.Sleep(time.Minute) //nolint:forbidigo // simulated time
		w.down["b"] = errSim
		var refused *RefusedError
		if _, err := breaks.Run(t.Context()); !errors.As(err, &refused) || refused.Conflicts[0].Kind != ConflictUnreachable {
			t.Error(err)
		}
		delete(w.down, "b")
		if _, err := stays.Run(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := moves.Run(t.Context()); !errors.As(err, &refused) || refused.Conflicts[0].Kind != ConflictMoved {
			t.Error(err)
		}
	})
}

// TestPlanText holds what an operator reads.
func TestPlanText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := w.config("one")
		cfg.Switch.Budget = &Budget{Records: 1}
		got := w.plan(w.controller(cfg), "b", Failover).String()
		want := `scope default at epoch 1: forced switch from a to b
b lacks 3 records, the oldest 1s old, as of 2000-01-01T00:00:00Z
1 topics with 2 partitions: orders
close    write the closing epoch 2: clients stop
fence    keep producers off a at its brokers
lease    wait for what is left of the lease of 10s, unless that is confirmed
stop     end the copy to b
refill   copy to b what the archive has and it hasn't
forks    note the ends of 1 topics of b
offsets  take care of groups on b
rights   let clients write to b
open     write the opening epoch 3: clients go to b
conflict: budget: the standby lacks 3 records, and 1 may be lost
`
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// hanging is a world one of whose clusters takes all the time there is.
type hanging struct {
	*world
	cluster string
}

func (h hanging) look(ctx context.Context, c failover.Cluster) (*clusterView, error) {
	if c.Name == h.cluster {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return h.world.look(ctx, c)
}

// heeding is a register that reads nothing once its context has ended.
type heeding struct{ register.Register }

func (h heeding) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	if err := ctx.Err(); err != nil {
		return register.Epoch{}, err
	}
	return h.Register.Get(ctx, scope, number)
}

// TestPlanOfTheHanging: a cluster that hangs leaves no time, and none is needed for the register's
// history.
func TestPlanOfTheHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if _, err := w.plan(w.controller(w.config("one")), "b", Switchover).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		cfg := w.config("two")
		cfg.Register, cfg.tuning.access = heeding{w.reg}, hanging{w, "b"}
		if p := w.plan(w.controller(cfg), "a", Failover); len(p.Conflicts) > 0 {
			t.Error(p)
		}
	})
}
