package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
)

// probe is one that looks at the world.
func (w *world) probe(_ context.Context, t probe.Target) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.down[t.Name]
}

// break_ takes a cluster down, or up again with nil.
func (w *world) break_(name string, err error) { w.set(func() { w.down[name] = err }) }

// states collects a controller's.
type states struct {
	mu  sync.Mutex
	all []string
}

func (s *states) take(st Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, string(st.State))
}

func (s *states) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.all, " ")
}

// start runs a controller until the test ends, or stop is called.
func (w *world) start(cfg Config) (c *Controller, seen *states, stop func()) {
	w.t.Helper()
	seen = &states{}
	cfg.Probe, cfg.Hooks.OnState = w.probe, seen.take
	c = w.controller(cfg)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	return c, seen, stop
}

func wait(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // simulated time
	synctest.Wait()
}

func TestControllerSwitches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, seen, stop := w.start(w.config("one"))
		defer stop()
		wait(10 * time.Second)
		if diff := cmp.Diff([]string{"1 a"}, w.history()); diff != "" {
			t.Fatal(diff)
		}
		if s := c.Status(); s.State != StateFollowing || s.Standby != "b" || s.Rehearsal == nil || len(s.Rehearsal.Conflicts) > 0 || s.Clusters[0].State != probe.Healthy {
			t.Errorf("%+v", s)
		}
		// Two failures, and then it is well again: not a disaster.
		w.break_("a", errSim)
		wait(1900 * time.Millisecond)
		w.break_("a", nil)
		wait(10 * time.Second)
		w.break_("a", errSim)
		wait(20 * time.Second)
		if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 b"}, w.history()); diff != "" {
			t.Error(diff)
		}
		if got, want := seen.took(), "starting following suspect following suspect switching following"; got != want {
			t.Errorf("states %s, want %s", got, want)
		}
		s := c.Status()
		if s.Switches != 1 || s.Report == nil || s.Report.Phases[0].Step != StepDetect || s.Report.RTOMillis < 12000 || s.Report.RTOMillis > 14000 {
			t.Errorf("%+v\n%s", s, s.Report)
		}
		if last := s.Epoch; last.Active != "b" || !strings.Contains(last.Reason, "a is down: simulated") {
			t.Errorf("%+v", last)
		}
		// a comes back, b goes down: a has a tail, so that the way back is safe with Tail only,
		// which this configuration has.
		w.break_("a", nil)
		w.break_("b", errSim)
		wait(30 * time.Second)
		if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 b", "4 b>a", "5 a"}, w.history()); diff != "" {
			t.Error(diff)
		}
		if !slices.Contains(w.took(), "tail a") {
			t.Error("the tail wasn't kept")
		}
	})
}

func TestControllerDoesNotSwitch(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   func(*world, *Config)
		state State
	}{
		{"manual", func(_ *world, cfg *Config) { cfg.Manual = true }, StateDown},
		{"both down", func(w *world, _ *Config) { w.down["b"] = errSim }, StateDown},
		{"over budget", func(_ *world, cfg *Config) { cfg.Switch.Budget = &Budget{} }, StateVetoed},
		{"topic missing", func(w *world, _ *Config) { w.views["b"].topics = nil }, StateVetoed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				cfg := w.config("one")
				tt.set(w, &cfg)
				var vetoes []error
				cfg.Hooks.OnVeto = func(err error) { vetoes = append(vetoes, err) }
				c, _, stop := w.start(cfg)
				wait(5 * time.Second)
				w.break_("a", errSim)
				wait(time.Minute)
				if diff := cmp.Diff([]string{"1 a"}, w.history()); diff != "" {
					t.Error(diff)
				}
				if s := c.Status(); s.State != tt.state {
					t.Errorf("%+v", s)
				}
				stop()
				// Refused at 5, 10, 20, 40 s after each other.
				if want := map[State]int{StateVetoed: 4}[tt.state]; len(vetoes) != want {
					t.Errorf("%d vetoes: %v", len(vetoes), vetoes)
				}
			})
		})
	}
}

// TestControllerTakesUp finishes what a dead controller has begun, or gives it up.
func TestControllerTakesUp(t *testing.T) {
	crash := errors.New("crash")
	for _, tt := range []struct {
		name string
		how  How
		own  bool
		set  func(*world)
		want string
		at   time.Duration
	}{
		{"finishes", Failover, false, func(w *world) { w.break_("a", errSim) }, "3 b", 250 * time.Second},
		{"its own", Failover, true, func(w *world) { w.break_("a", errSim) }, "3 b", 15 * time.Second},
		{"finishes a planned one", Switchover, false, func(*world) {}, "3 b", 250 * time.Second},
		{"gives up where the target is down", Failover, false, func(w *world) { w.break_("b", errSim) }, "3 a", 250 * time.Second},
		{"gives up where it is refused", Failover, false, func(w *world) { w.views["b"].topics = nil }, "3 a", 250 * time.Second},
		{"stays closed where both are down", Failover, false, func(w *world) { w.break_("a", errSim); w.break_("b", errSim) }, "2 a>b", time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				cfg := w.config("dead")
				cfg.tuning.after = func(s Step) error {
					if s == StepFence {
						return crash
					}
					return nil
				}
				if _, err := w.plan(w.controller(cfg), "b", tt.how).Run(t.Context()); !errors.Is(err, crash) {
					t.Fatal(err)
				}
				name := "alive"
				if tt.own {
					name = "dead"
				}
				_, _, stop := w.start(w.config(name))
				defer stop()
				tt.set(w)
				if !tt.own {
					wait(100 * time.Second)
					if len(w.history()) != 2 {
						t.Fatal("taken up while its controller might have lived", w.history())
					}
				}
				wait(tt.at)
				history := w.history()
				if got := history[len(history)-1]; got != tt.want {
					t.Error(history)
				}
				if e, err := register.Latest(t.Context(), w.reg, "default"); err == nil && e.Number == 3 && (e.By != name || e.Planned != (tt.how == Switchover)) {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

// TestControllerBesideACommand leaves a switch alone that is run on command.
func TestControllerBesideACommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c, seen, stop := w.start(w.config("one"))
		defer stop()
		wait(5 * time.Second)
		if err := c.Run(t.Context()); !errors.Is(err, errRunsAlready) {
			t.Error(err)
		}
		if _, err := w.plan(c, "b", Switchover).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		wait(5 * time.Second)
		if got, want := seen.took(), "starting following switching following"; got != want {
			t.Errorf("states %s, want %s", got, want)
		}
		if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 b"}, w.history()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestControllerLateVerdict: a probe that has seen a wrong password, and waited for a broker that
// hangs, can't tell; that it took all its time makes no disaster of it.
func TestControllerLateVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := w.config("one")
		cfg.Probe = func(ctx context.Context, t probe.Target) error {
			if t.Name != "a" {
				return nil
			}
			<-ctx.Done()
			return &probe.Fault{Kind: probe.Auth, Cluster: t.Name, Probe: "metadata", Err: errSim}
		}
		c := w.controller(cfg)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"1 a"}, w.history()); diff != "" || !c.is("a", probe.Unknown) {
			t.Error(diff, c.Status().Clusters[0])
		}
	})
}

// TestControllerReason: whatever a probe's error is made of, the register takes the reason.
func TestControllerReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		_, _, stop := w.start(w.config("one"))
		defer stop()
		wait(5 * time.Second)
		w.break_("a", errors.New("\x1b[31m\xff"+strings.Repeat("ü", 200)))
		wait(20 * time.Second)
		if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 b"}, w.history()); diff != "" {
			t.Error(diff)
		}
	})
}
