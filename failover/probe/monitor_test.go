package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// script is a probe that says what each letter of a text says, one letter a look, the last one for
// ever: . well, x failing, a refused login, s slow (1.5s), t too late.
func script(text string) Probe {
	i := 0
	return func(ctx context.Context, t Target) error {
		c := text[min(i, len(text)-1)]
		i++
		switch c {
		case 'x':
			return &Fault{Kind: Unreachable, Cluster: t.Name, Probe: "script", Err: errors.New("refused")}
		case 'a':
			return &Fault{Kind: Auth, Cluster: t.Name, Probe: "script", Err: errors.New("refused")}
		case 's':
			<-time.After(1500 * time.Millisecond)
		case 't':
			<-ctx.Done()
			return fmt.Errorf("script: %w", ctx.Err())
		}
		return nil
	}
}

// states is a letter for the state after each look: H, S, D, U.
func states(t *testing.T, text string, rule Rule, looks int) (string, Status) {
	t.Helper()
	var b strings.Builder
	var m *Monitor
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m, err := NewMonitor(script(text), Target{Name: "primary"}, rule, Hooks{OnResult: func(Result) {
		b.WriteString(strings.ToUpper(string(m.Status().State)[:1]))
		if b.Len() == looks {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return b.String(), m.Status()
}

func TestRule(t *testing.T) {
	tests := []struct {
		name, looks, want string
		rule              Rule
	}{
		{"well", "....", "HHHH", Rule{}},
		{"one failure", "..x....", "HHSSSHH", Rule{}},
		{"down and back", ".xxxx....", "HSSDDDDHH", Rule{}},
		{"down from the beginning", "xxxx", "SSDD", Rule{}},
		{"three of five", ".xx.x.xx", "HSSSSSSD", Rule{}},
		{"each second look", "x.x.x.x.x.x.x.x.", "SSSSSSSSSSSSSSSS", Rule{}},
		{"one of one", ".x.", "HDH", Rule{Failures: 1, Of: 1, Successes: 1}},
		{"well for a moment", "xxx..x..x...", "SSDDDDDDDDDH", Rule{}},
		{"slow", ".ssss", "HHHHH", Rule{}},
		{"too slow", ".ssss", "HSSDD", Rule{SlowerThan: time.Second}},
		{"too late", ".tttt", "HSSDD", Rule{}},
		{"too late, of a later Timeout", ".ssss", "HSSDD", Rule{Timeout: time.Second}},
		{"login refused", ".aaaaaaa.", "HUUUUUUUH", Rule{}},
		{"login refused, down by wish", ".aaa", "HSSD", Rule{AlsoDown: []Kind{Auth}}},
		{"unreachable, ignored by wish", ".xxxx", "HUUUU", Rule{Ignore: []Kind{Unreachable}}},
		{"refused while it is down", "xxxaaaa...", "SSDDDDDDDH", Rule{}},
		{"refused between failures", ".xaxax", "HSUSUD", Rule{}},
		{"refused first", "aa.", "UUH", Rule{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got, _ := states(t, tt.looks, tt.rule, len(tt.looks)); got != tt.want {
					t.Errorf("%s gives %s, want %s", tt.looks, got, tt.want)
				}
			})
		})
	}
}

// TestBackoff flaps: each time it has to be well for longer, until it has been quiet.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		round := "xxx" + strings.Repeat(".", 60)
		got, s := states(t, strings.Repeat(round, 4), Rule{Backoff: 10 * time.Second, MaxBackoff: 25 * time.Second}, 4*len(round))
		var downs []int // looks that are good and down
		for i := range 4 {
			downs = append(downs, strings.Count(got[i*len(round)+3:(i+1)*len(round)], "D"))
		}
		if d := cmp.Diff([]int{2, 2, 2, 2}, downs); d != "" { // a minute apart, and more than twice 25 s
			t.Errorf("quiet between: (-want +got)\n%s", d)
		}
		if s.Flaps != 0 {
			t.Errorf("%d flaps", s.Flaps)
		}
		got, s = states(t, strings.Repeat(round, 4), Rule{Backoff: 10 * time.Second, MaxBackoff: 35 * time.Second}, 4*len(round))
		downs = nil
		for i := range 4 {
			downs = append(downs, strings.Count(got[i*len(round)+3:(i+1)*len(round)], "D"))
		}
		if d := cmp.Diff([]int{2, 10, 20, 35}, downs); d != "" {
			t.Errorf("flapping: (-want +got)\n%s", d)
		}
		if s.Flaps != 3 {
			t.Errorf("%d flaps, want 3", s.Flaps)
		}
	})
}

// TestDetection holds that a rule's bound is one, whenever the cluster ends and whether it hangs or
// refuses.
func TestDetection(t *testing.T) {
	for _, rule := range []Rule{{}, {Failures: 1, Of: 1}, {Failures: 5, Of: 9, Interval: 300 * time.Millisecond}, {Timeout: 500 * time.Millisecond}} {
		for seed := range uint64(50) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				end := time.Now().Add(time.Duration(r.Int64N(int64(20 * time.Second))))
				hangs := seed%2 == 0
				p := func(ctx context.Context, _ Target) error {
					switch {
					case time.Now().Before(end):
						return nil
					case hangs:
						<-ctx.Done()
						return ctx.Err()
					}
					return errors.New("refused")
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				var down time.Time
				m, err := NewMonitor(p, Target{}, rule, Hooks{OnChange: func(c Change) {
					if c.To == Down {
						down = time.Now()
						cancel()
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				_ = m.Run(ctx)
				if took := down.Sub(end); took > rule.Detection() {
					t.Errorf("seed %d: down after %v, the bound is %v", seed, took, rule.Detection())
				}
			})
		}
	}
}

// TestSchedules holds what a monitor promises, over any looks.
func TestSchedules(t *testing.T) {
	for seed := range uint64(1000) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			letters := []string{".", "x", ".x", "....x", "a.x", "..at", ".sxa"}[r.IntN(7)]
			var text strings.Builder
			for range 60 {
				text.WriteByte(letters[r.IntN(len(letters))])
			}
			rule := Rule{Failures: 1 + r.IntN(4), Of: 4 + r.IntN(4), Successes: 1 + r.IntN(3)}
			looks := text.String()
			got, s := states(t, looks, rule, len(looks))
			for i := range got {
				was := byte('U')
				if i > 0 {
					was = got[i-1]
				}
				if fault := wrongStep(looks[:i+1], was, got[i], rule); fault != "" {
					t.Fatalf("seed %d: %s at look %d of %s: %s", seed, fault, i, looks, got)
				}
			}
			if len(s.History) > rule.Of {
				t.Fatalf("a history of %d", len(s.History))
			}
		})
	}
}

// wrongStep says what is wrong with a step after the looks.
func wrongStep(looks string, was, is byte, rule Rule) string {
	counted := strings.ReplaceAll(looks, "a", "")
	counted = counted[max(0, len(counted)-rule.Of):]
	last := looks[len(looks)-1]
	switch {
	case is == 'D' && was != 'D' && strings.Count(counted, "x")+strings.Count(counted, "t") < rule.Failures:
		return "down by too few failures"
	case is == 'D' && was != 'D' && last != 'x' && last != 't':
		return "down by a look that didn't fail"
	case was == 'D' && is != 'D' && is != 'H':
		return "no longer down, and not healthy"
	case was == 'D' && is == 'H' && strings.Trim(looks[max(0, len(looks)-rule.Successes):], ".s") != "":
		return "healthy too soon"
	case is == 'H' && last != '.' && last != 's', is == 'U' && last != 'a':
		return "the wrong state"
	}
	return ""
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, s := states(t, "..xxxa", Rule{}, 6)
		if s.State != Down || s.Since != begin.Add(4*time.Second) || s.Kind != Auth || s.Err == nil || len(s.History) != 5 {
			t.Errorf("%+v", s)
		}
		raw, err := json.Marshal(s)
		if err != nil || !strings.Contains(string(raw), `"error":"probe: primary: script: auth: the login failed"`) {
			t.Errorf("%s, %v", raw, err)
		}
	})
}

func TestRunOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := NewMonitor(script("."), Target{}, Rule{}, Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		synctest.Wait()
		if err := m.Run(t.Context()); !errors.Is(err, ErrRunning) {
			t.Errorf("a second Run: %v", err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestWrongRules(t *testing.T) {
	_, err := NewMonitor(nil, Target{}, Rule{Failures: 3, Of: 2, Successes: -1, Interval: -1, SlowerThan: time.Hour, Backoff: time.Hour, MaxBackoff: time.Minute}, Hooks{})
	if err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("%v: want six faults", err)
	}
}
