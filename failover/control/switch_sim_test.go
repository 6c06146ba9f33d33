package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// world is two clusters, and all that a switch works with, in memory.
type world struct {
	t   *testing.T
	reg register.Register

	mu    sync.Mutex
	views map[string]*clusterView
	down  map[string]error
	calls []string
	// fail and block say what a call does instead, by its name.
	fail  map[string]error
	block map[string]bool
	lag   Lag
	// lagTakes is how long it takes to find out.
	lagTakes time.Duration
	// confirm is what the fence says, fenced whether a cluster is.
	confirm bool
	fenced  map[string]bool
	copying bool
}

func newWorld(t *testing.T) *world {
	return &world{
		t: t, reg: register.NewMemory(), down: map[string]error{}, fail: map[string]error{}, block: map[string]bool{}, fenced: map[string]bool{}, copying: true,
		views: map[string]*clusterView{"a": view("id-a", 2), "b": view("id-b", 2)},
		lag:   Lag{Records: 3, Age: Millis(time.Second), At: time.Now(), Partitions: []PartitionLag{{Topic: "orders", Records: 3}}},
	}
}

func view(id string, partitions int) *clusterView {
	return &clusterView{id: id, topics: map[string]topicView{"orders": {partitions: partitions}, "__consumer_offsets": {internal: true, partitions: 50}}}
}

func (w *world) clusters() []failover.Cluster {
	opts := []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}
	return []failover.Cluster{{Name: "a", Opts: opts}, {Name: "b", Opts: opts}}
}

// config is a controller's with all there is.
func (w *world) config(name string) Config {
	return Config{
		Clusters: w.clusters(), Register: w.reg, Name: name, tuning: tuning{access: w},
		Switch: SwitchConfig{Replication: simCopy{w}, Fence: simFence{w}, Refill: simRefill{w}, Offsets: simOffsets{w}, Rights: simRights{w}, Tail: simTail{w}},
	}
}

// controller is one of a scope that has been begun.
func (w *world) controller(cfg Config) *Controller {
	w.t.Helper()
	begin(w.t, cfg)
	c, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func begin(t testing.TB, cfg Config) {
	t.Helper()
	if _, err := register.Begin(t.Context(), cfg.Register, cmp.Or(cfg.Scope, "default"), register.Epoch{Active: cfg.Clusters[0].Name, Lease: cfg.Lease, By: "test"}); err != nil {
		t.Fatal(err)
	}
}

// call notes one, and fails or blocks as told.
func (w *world) call(ctx context.Context, name string) error {
	w.mu.Lock()
	w.calls = append(w.calls, name)
	err, block := w.fail[name], w.block[name]
	w.mu.Unlock()
	if block {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (w *world) took() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

func (w *world) look(_ context.Context, c failover.Cluster) (*clusterView, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.down[c.Name]; err != nil {
		return nil, err
	}
	return w.views[c.Name], nil
}

func (w *world) ends(ctx context.Context, c failover.Cluster, topics []string) ([]register.Fork, []string, error) {
	if err := w.call(ctx, "forks "+c.Name); err != nil {
		return nil, nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.down[c.Name]; err != nil {
		return nil, nil, err
	}
	var forks []register.Fork
	for _, topic := range topics {
		for p := range w.views[c.Name].topics[topic].partitions {
			forks = append(forks, register.Fork{Topic: topic, Partition: int32(p), Offset: 100})
		}
	}
	return forks, nil, nil
}

var errSim = errors.New("simulated")

type (
	simCopy    struct{ w *world }
	simFence   struct{ w *world }
	simRefill  struct{ w *world }
	simOffsets struct{ w *world }
	simRights  struct{ w *world }
	simTail    struct{ w *world }
)

func (s simCopy) Lag(ctx context.Context, _, _ string) (Lag, error) {
	s.w.mu.Lock()
	takes := s.w.lagTakes
	s.w.mu.Unlock()
	if err := rawkafka.Sleep(ctx, takes); err != nil {
		return Lag{}, err
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	return s.w.lag, s.w.fail["lag"]
}

func (s simCopy) Drain(ctx context.Context, from, to string) error {
	return s.w.call(ctx, "drain "+from+to)
}

func (s simCopy) Stop(ctx context.Context, from, to string) error {
	err := s.w.call(ctx, "stop "+from+to)
	s.w.set(func() { s.w.copying = false })
	return err
}

func (s simCopy) Resume(ctx context.Context, from, to string) error {
	s.w.set(func() { s.w.copying = true })
	return s.w.call(ctx, "resume "+from+to)
}

func (s simFence) Fence(ctx context.Context, r FenceRequest) (bool, error) {
	err := s.w.call(ctx, "fence "+r.Cluster.Name)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.fenced[r.Cluster.Name] = true
	return s.w.confirm && err == nil, err
}

func (s simFence) Lift(ctx context.Context, r FenceRequest) error {
	s.w.set(func() { s.w.fenced[r.Cluster.Name] = false })
	return s.w.call(ctx, "lift "+r.Cluster.Name)
}

func (s simRefill) Refill(ctx context.Context, from, to string) (RefillResult, error) {
	return RefillResult{Records: 2}, s.w.call(ctx, "refill "+from+to)
}

func (s simOffsets) Carry(ctx context.Context, r CarryRequest) (OffsetsResult, error) {
	return OffsetsResult{Groups: 1, Offsets: len(r.Ends)}, s.w.call(ctx, "offsets "+r.From.Name+r.To.Name)
}

func (s simRights) Grant(ctx context.Context, to failover.Cluster, topics []string) error {
	return s.w.call(ctx, fmt.Sprintf("grant %s %v", to.Name, topics))
}

func (s simTail) SaveTail(ctx context.Context, r TailRequest) (TailResult, error) {
	return TailResult{Records: int64(len(r.Left.Forks)), Where: "a file"}, s.w.call(ctx, "tail "+r.Cluster.Name)
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// history is all epochs as text, and checks that none is out of order.
func (w *world) history() []string {
	w.t.Helper()
	var all []string
	for e, err := range register.History(w.t.Context(), w.reg, "default") {
		if err != nil {
			w.t.Fatal(err)
		}
		text := fmt.Sprintf("%d %s", e.Number, e.Active)
		if e.Closing() {
			text = fmt.Sprintf("%d %s>%s", e.Number, e.From, e.Target)
		}
		all = append(all, text)
	}
	return all
}

// plan plans, and fails the test where that can't be done.
func (w *world) plan(c *Controller, to string, how How) *Plan {
	w.t.Helper()
	p, err := c.Plan(w.t.Context(), to, how)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}
