package drill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/failover/register"
)

// diary is an injector that writes down what it is told, and when.
type diary struct {
	begin time.Time
	fail  error
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(what string, f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%v %s %s", time.Since(d.begin), what, f.On))
}

func (d *diary) Inject(_ context.Context, f Fault) error { d.note("inject", f); return d.fail }
func (d *diary) Heal(_ context.Context, f Fault) error   { d.note("heal", f); return nil }

func TestChaos(t *testing.T) {
	s := func(n float64) Duration { return Duration(n * float64(time.Second)) }
	for name, c := range map[string]struct {
		faults []Fault
		want   []string
	}{
		"killed":  {[]Fault{{Kind: Kill, On: Primary, After: s(1)}}, []string{"1s inject primary", "10s heal primary"}},
		"for ":    {[]Fault{{Kind: Kill, On: Primary, After: s(1), For: s(2)}}, []string{"1s inject primary", "3s heal primary"}},
		"closing": {[]Fault{{Kind: Kill, On: Standby, From: Closing, After: s(1), For: s(2)}}, []string{"6s inject standby", "8s heal standby"}},
		"flap": {[]Fault{{Kind: Flap, On: Primary, For: s(2), Every: s(0.5)}},
			[]string{"0s inject primary", "500ms heal primary", "1s inject primary", "1.5s heal primary"}},
		"two": {[]Fault{{Kind: Kill, On: Primary, After: s(2), For: s(1)}, {Kind: Blackhole, On: Mirror, After: s(1)}},
			[]string{"1s inject mirror", "2s inject primary", "3s heal primary", "10s heal mirror"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &diary{begin: time.Now()}
				m := newMeter(func() map[Key]int64 { return nil })
				closing := time.AfterFunc(5*time.Second, func() { m.epoch(register.Epoch{Number: 2, From: "a"}) })
				defer closing.Stop()
				ch := &chaos{faults: c.faults, injector: d, meter: m, say: func(string, ...any) {}}
				if err := ch.run(t.Context()); err != nil {
					t.Error(err)
				}
				if err := pause(t.Context(), 10*time.Second-time.Since(d.begin)); err != nil {
					t.Error(err)
				}
				if err := ch.healAll(t.Context()); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(c.want, d.lines); diff != "" {
					t.Error(diff)
				}
				if m.fault.IsZero() {
					t.Error("no beginning")
				}
			})
		})
	}
}

// What was injected is healed, whatever fails and whenever the drill ends.
func TestChaosHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("no")
		for fail, want := range map[error]error{nil: context.DeadlineExceeded, cause: cause} {
			d := &diary{begin: time.Now(), fail: fail}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			ch := &chaos{faults: []Fault{{Kind: Kill, On: Primary, For: Duration(time.Hour)}, {Kind: Flap, On: Mirror}}, injector: d, meter: newMeter(nil), say: func(string, ...any) {}}
			err := ch.run(ctx)
			cancel()
			if !errors.Is(err, want) {
				t.Error(err)
			}
			if err := ch.healAll(t.Context()); err != nil {
				t.Error(err)
			}
			balance := map[string]int{}
			for _, l := range d.lines {
				var at, what, on string
				_, _ = fmt.Sscan(l, &at, &what, &on)
				balance[on] += map[string]int{"inject": 1, "heal": -1}[what]
			}
			if balance["primary"] != 0 || balance["mirror"] != 0 {
				t.Errorf("%q", d.lines)
			}
		}
	})
}
