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

	"github.com/kafkadr/kafkadr/failover/register"
)

func TestForcedSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.controller(w.config("one"))
		w.plan(c, "b", Failover) // a has been seen
		w.down["a"] = errSim
		p := w.plan(c, "b", Failover)
		if len(p.Conflicts) > 0 {
			t.Fatal(p)
		}
		report, err := p.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"fence a", "stop ab", "refill ab", "forks b", "offsets ab", "lift b", "grant b [orders]"}
		if diff := cmp.Diff(want, w.took()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 b"}, w.history()); diff != "" {
			t.Error(diff)
		}
		if report.End != EndSwitched || report.LeaseMillis != 10010 || report.RTOMillis != 10010 || report.ClosedMillis != 10010 {
			t.Error(report)
		}
		last, err := register.Latest(t.Context(), w.reg, "default")
		if err != nil || last.ActiveID != "id-b" || len(last.Forks) != 2 || last.Planned {
			t.Error(last, err)
		}
		if text := report.String(); !strings.Contains(text, "RPO: b lacks 3 records") || !strings.Contains(text, "refill: 2 records") {
			t.Error(text)
		}
		if _, err := json.Marshal(report); err != nil {
			t.Error(err)
		}
	})
}

// TestLoss: what is lost is measured again when nothing is copied any more, and waited for where
// the old cluster was there. Where it could be known and isn't, the report says so.
func TestLoss(t *testing.T) {
	for _, tt := range []struct {
		name  string
		away  bool
		takes time.Duration
		want  int64
		warns bool
	}{
		{"there", false, time.Second, 7, false},
		{"slow", false, time.Minute, 3, true},
		{"away", true, time.Second, 3, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			c := w.controller(w.config("one"))
			w.plan(c, "b", Failover) // has seen the topics
			if tt.away {
				w.down["a"] = errSim
			}
			time.Sleep(time.Second) //nolint:forbidigo // simulated time
			w.set(func() { w.lag.At = time.Now() })
			p := w.plan(c, "b", Failover)
			time.Sleep(time.Second) //nolint:forbidigo // simulated time
			w.set(func() {
				w.lag.Records, w.lag.At, w.lagTakes = 7, time.Now(), tt.takes
				w.lag.Partitions = []PartitionLag{{Topic: "orders", Records: 7, Oldest: w.lag.At}}
			})
			report, err := p.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if warns := strings.Contains(strings.Join(report.Warnings, "\n"), "before the scope was closed"); report.RPO.Records != tt.want || warns != tt.warns {
				t.Error(tt.name, report)
			}
			if text := report.String(); strings.Contains(text, "0001-01-01") {
				t.Error(text)
			}
		})
	}
}

func TestPlannedSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.confirm = true
		cfg := w.config("one")
		cfg.Switch.Budget = &Budget{} // what the copy lacks now is drained
		c := w.controller(cfg)
		report, err := w.plan(c, "", Switchover).Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"fence a", "drain ab", "stop ab", "forks b", "offsets ab", "lift b", "grant b [orders]"}
		if diff := cmp.Diff(want, w.took()); diff != "" {
			t.Error(diff)
		}
		if report.LeaseMillis != 0 || !report.FenceConfirmed || report.RPO.Records != 0 {
			t.Error(report)
		}
		// And back: a was left in order, so that it has no tail.
		w.calls = nil
		if _, err := w.plan(c, "a", Switchover).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 b", "4 b>a", "5 a"}, w.history()); diff != "" {
			t.Error(diff)
		}
		if w.fenced["a"] || !w.fenced["b"] {
			t.Error(w.fenced)
		}
	})
}

func TestFailbackSavesTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := w.config("one")
		if _, err := w.plan(w.controller(cfg), "b", Failover).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		cfg.Switch.Tail = nil
		p := w.plan(w.controller(cfg), "a", Switchover)
		if len(p.Conflicts) != 1 || p.Conflicts[0].Kind != ConflictTail {
			t.Error(p)
		}
		cfg.Switch.IgnoreTail = true
		if p := w.plan(w.controller(cfg), "a", Switchover); len(p.Conflicts) != 0 || len(p.Warnings) != 1 {
			t.Error(p)
		}
		c := w.controller(w.config("two"))
		w.fail["tail a"] = errSim
		report, err := w.plan(c, "a", Switchover).Run(t.Context())
		var veto *VetoError
		if !errors.As(err, &veto) || veto.Step != StepTail || report.End != EndRefused || len(w.history()) != 3 {
			t.Error(err, report, w.history())
		}
		delete(w.fail, "tail a")
		report, err = w.plan(c, "a", Switchover).Run(t.Context())
		if err != nil || report.Tail == nil || report.Tail.Records != 2 {
			t.Error(err, report)
		}
	})
}

// TestVetoes has each step fail, and block, and says what is left behind.
func TestVetoes(t *testing.T) {
	for _, tt := range []struct {
		call string
		how  How
		// soft steps don't veto.
		soft bool
	}{
		{call: "fence a", how: Failover, soft: true}, {call: "drain ab", how: Switchover}, {call: "stop ab", how: Failover}, {call: "refill ab", how: Failover, soft: true},
		{call: "forks b", how: Failover}, {call: "offsets ab", how: Failover}, {call: "lift b", how: Failover}, {call: "grant b [orders]", how: Switchover},
	} {
		for _, kind := range []string{"fails", "blocks", "vetoes", "fails and a is down"} {
			t.Run(tt.call+" "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					c := w.controller(w.config("one"))
					p := w.plan(c, "b", tt.how)
					switch kind {
					case "blocks":
						w.block[tt.call] = true
					case "vetoes":
						w.fail[tt.call] = ErrVeto
					default:
						w.fail[tt.call] = errSim
					}
					if kind == "fails and a is down" {
						w.down["a"] = errSim
					}
					report, err := p.Run(t.Context())
					var closed *ClosedError
					switch {
					case tt.soft && kind != "vetoes":
						if err != nil || report.End != EndSwitched {
							t.Fatal(err, report)
						}
					case kind == "fails and a is down":
						if !errors.As(err, &closed) || !errors.Is(err, ErrVeto) || report.End != EndClosed || len(w.history()) != 2 {
							t.Fatal(err, report)
						}
					default:
						if errors.As(err, &closed) || !errors.Is(err, ErrVeto) || report.End != EndGivenUp {
							t.Fatal(err, report)
						}
						if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 a"}, w.history()); diff != "" {
							t.Error(diff)
						}
						if w.fenced["a"] || !w.copying {
							t.Errorf("after giving up: fenced %v, copying %v", w.fenced, w.copying)
						}
					}
				})
			})
		}
	}
}

// TestCrash ends a switch after each step, as a crash would, and lets another controller finish it
// or give it up.
func TestCrash(t *testing.T) {
	crash := errors.New("crash")
	for _, how := range []How{Failover, Switchover} {
		for _, step := range []Step{StepClose, StepFence, StepLease, StepDrain, StepStop, StepRefill, StepForks, StepOffsets, StepRights, StepOpen} {
			for _, to := range []string{"b", "a"} {
				t.Run(string(how)+" "+string(step)+" "+to, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t)
						cfg := w.config("one")
						cfg.tuning.after = func(s Step) error {
							if s == step {
								return crash
							}
							return nil
						}
						if _, err := w.plan(w.controller(cfg), "b", how).Run(t.Context()); !errors.Is(err, crash) {
							t.Fatal(err)
						}
						two := w.controller(w.config("two"))
						if step == StepOpen {
							if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 b"}, w.history()); diff != "" {
								t.Error(diff)
							}
							return
						}
						p := w.plan(two, to, how)
						if p.Resumes == nil || p.Resumes.By != "one" || p.GiveUp != (to == "a") || len(p.Conflicts) > 0 {
							t.Fatal(p)
						}
						report, err := p.Run(t.Context())
						if err != nil || !report.Resumed {
							t.Fatal(err, report)
						}
						if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 " + to}, w.history()); diff != "" {
							t.Error(diff)
						}
						if w.fenced[to] || to == "a" && !w.copying {
							t.Errorf("fenced %v, copying %v", w.fenced, w.copying)
						}
					})
				})
			}
		}
	}
}

// TestCancelled ends a switch by its context in each step: the scope stays closed.
func TestCancelled(t *testing.T) {
	for _, call := range []string{"fence a", "stop ab", "refill ab", "forks b", "offsets ab", "grant b [orders]"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.block[call] = true
				c := w.controller(w.config("one"))
				p := w.plan(c, "b", Failover)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(12*time.Second, cancel)
				if call == "fence a" {
					time.AfterFunc(time.Second, cancel)
				}
				report, err := p.Run(ctx)
				var closed *ClosedError
				if !errors.As(err, &closed) || closed.Epoch.Number != 2 || report.End != EndClosed || len(w.history()) != 2 {
					t.Fatal(err, report, w.history())
				}
			})
		})
	}
}

// TestRace lets two controllers carry one switch on, from each step, in both directions: one
// opening epoch, and no fence on the active cluster.
func TestRace(t *testing.T) {
	for _, step := range []Step{StepClose, StepFence, StepLease, StepStop, StepRefill, StepForks, StepOffsets, StepRights} {
		for _, to := range []string{"b", "a"} {
			t.Run(string(step)+" "+to, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					two := w.controller(w.config("two"))
					cfg := w.config("one")
					cfg.tuning.after = func(s Step) error {
						if s != step {
							return nil
						}
						time.Sleep(time.Minute) //nolint:forbidigo // simulated time: the first controller is suspended
						return nil
					}
					one := w.controller(cfg)
					ends := make(chan error, 1)
					go func() {
						_, err := w.plan(one, "b", Failover).Run(t.Context())
						ends <- err
					}()
					time.Sleep(30 * time.Second) //nolint:forbidigo // simulated time: until it is
					if _, err := w.plan(two, to, Failover).Run(t.Context()); err != nil {
						t.Fatal(err)
					}
					err := <-ends
					var overtaken *OvertakenError
					if !errors.As(err, &overtaken) || overtaken.Epoch.By != "two" {
						t.Error(err)
					}
					if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 " + to}, w.history()); diff != "" {
						t.Error(diff)
					}
					if w.fenced[to] {
						t.Errorf("%s is active and fenced", to)
					}
				})
			})
		}
	}
}

// TestBegin has many controllers switch at once: one does.
func TestBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		const n = 8
		ends := make(chan error, n)
		for i := range n {
			p := w.plan(w.controller(w.config(string(rune('k'+i)))), "b", Failover)
			go func() {
				_, err := p.Run(t.Context())
				ends <- err
			}()
		}
		won := 0
		for range n {
			err := <-ends
			var overtaken *OvertakenError
			switch {
			case err == nil:
				won++
			case !errors.As(err, &overtaken):
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d switched", won)
		}
		if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 b"}, w.history()); diff != "" {
			t.Error(diff)
		}
	})
}

// silent is a register that writes an opening epoch, and answers nothing from then on.
type silent struct {
	register.Register
	now bool
}

func (s *silent) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	if s.now {
		return register.Epoch{}, errSim
	}
	return s.Register.Get(ctx, scope, number)
}

func (s *silent) Create(ctx context.Context, e register.Epoch) error {
	err := s.Register.Create(ctx, e)
	if s.now = e.Number > 1 && !e.Closing(); s.now {
		return errSim
	}
	return err
}

// TestGiveUpUnclear: where it isn't known whether the old cluster is active again, the report
// doesn't say that nobody is.
func TestGiveUpUnclear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fail["offsets ab"] = errSim
		cfg := w.config("one")
		cfg.Register = &silent{Register: w.reg}
		report, err := w.plan(w.controller(cfg), "b", Failover).Run(t.Context())
		var closed *ClosedError
		if !errors.As(err, &closed) || report.End != EndUnclear {
			t.Error(err, report)
		}
		if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 a"}, w.history()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestFenceOfWhatWasKnown: a fence of the topics of an earlier look says nothing of one that came
// since, so the lease is waited for.
func TestFenceOfWhatWasKnown(t *testing.T) {
	for name, tt := range map[string]struct {
		change    func(*world)
		confirmed bool
	}{
		"the same": {func(*world) {}, true},
		"new":      {func(w *world) { w.views["a"].topics["new"] = topicView{partitions: 1} }, false},
		"away":     {func(w *world) { w.down["a"] = errSim }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.confirm = true
				c := w.controller(w.config("one"))
				w.plan(c, "b", Failover) // a has been seen
				w.down["a"] = errSim
				p := w.plan(c, "b", Failover)
				delete(w.down, "a")
				tt.change(w)
				report, err := p.Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if report.FenceConfirmed != tt.confirmed || (report.LeaseMillis < 10000) != tt.confirmed {
					t.Error(report)
				}
			})
		})
	}
}

// TestOpenTooLate: who was suspended behind its last step doesn't open any more. Another may have
// taken the switch up, and append behind the forks right now.
func TestOpenTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := w.config("one")
		cfg.tuning.after = func(s Step) error {
			if s == StepRights {
				time.Sleep(time.Hour) //nolint:forbidigo // simulated time
			}
			return nil
		}
		report, err := w.plan(w.controller(cfg), "b", Failover).Run(t.Context())
		if err == nil || report.End != EndGivenUp {
			t.Error(err, report)
		}
		if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 a"}, w.history()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestLeaseOfScope has a controller be configured with another lease than its scope has: it waits
// for the scope's, which its epochs carry on. A scope that has none gets the controller's.
func TestLeaseOfScope(t *testing.T) {
	for scopes, want := range map[time.Duration]time.Duration{0: time.Second, 30 * time.Second: 30 * time.Second} {
		t.Run(scopes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				if _, err := register.Begin(t.Context(), w.reg, "default", register.Epoch{Active: "a", Lease: scopes, By: "test"}); err != nil {
					t.Fatal(err)
				}
				cfg := w.config("one")
				cfg.Lease, cfg.Switch.Fence = time.Second, nil
				w.down["a"] = errSim
				p := w.plan(w.controller(cfg), "b", Failover)
				if said := strings.Contains(p.String(), "the scope's lease is 30s"); said != (scopes != 0) {
					t.Errorf("the plan warns: %v\n%s", said, p)
				}
				report, err := p.Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got := inMillis(want + want/1000); report.LeaseMillis != got {
					t.Errorf("waited %v ms, want %v", report.LeaseMillis, got)
				}
				for n, e := range []time.Duration{scopes, want, want} {
					if got, err := w.reg.Get(t.Context(), "default", int64(n+1)); err != nil || got.Lease != e {
						t.Errorf("epoch %d has lease %v, want %v (%v)", n+1, got.Lease, e, err)
					}
				}
			})
		})
	}
}
