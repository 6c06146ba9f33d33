package control

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/failover/register"
)

// stuck is a refill that doesn't heed its context.
type stuck struct{ release chan struct{} }

func (s stuck) Refill(context.Context, string, string) (RefillResult, error) {
	<-s.release
	return RefillResult{}, nil
}

// TestStuckRefill gives the switch up: whoever doesn't end may still be appending, and forks would
// be wrong.
func TestStuckRefill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := w.config("one")
		s := stuck{make(chan struct{})}
		defer close(s.release)
		cfg.Switch.Refill = s
		report, err := w.plan(w.controller(cfg), "b", Failover).Run(t.Context())
		if !errors.Is(err, errStuck) || report.End != EndGivenUp {
			t.Error(err, report)
		}
		if diff := cmp.Diff([]string{"1 a", "2 a>b", "3 a"}, w.history()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := boundedErr(t.Context(), time.Second, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		if !errors.Is(err, errDeadline) || time.Since(start) != time.Second {
			t.Error(err, time.Since(start))
		}
		err = boundedErr(t.Context(), time.Second, func(ctx context.Context) error { <-ctx.Done(); return errSim })
		if !errors.Is(err, errDeadline) || !errors.Is(err, errSim) {
			t.Error(err)
		}
		if err = boundedErr(t.Context(), time.Second, func(context.Context) error { return errSim }); !errors.Is(err, errSim) || errors.Is(err, errDeadline) {
			t.Error(err)
		}
	})
}

// away is a register that doesn't take epochs from a number on, and doesn't say whether it has.
type away struct {
	register.Register
	from int64
}

func (a *away) Create(ctx context.Context, e register.Epoch) error {
	if e.Number >= a.from {
		return errSim
	}
	return a.Register.Create(ctx, e)
}

// TestRegisterAway has the register fail at both epochs: nothing is changed before the first, and
// the scope stays closed at the second.
func TestRegisterAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []Step{StepClose, StepOpen} {
			w := newWorld(t)
			reg := &away{Register: w.reg, from: map[Step]int64{StepClose: 2, StepOpen: 3}[step]}
			cfg := w.config("one")
			cfg.Register = reg
			report, err := w.plan(w.controller(cfg), "b", Failover).Run(t.Context())
			var veto *VetoError
			var closed *ClosedError
			if !errors.As(err, &veto) || veto.Step != step || errors.As(err, &closed) != (step == StepOpen) || report.End != EndUnclear || !errors.Is(err, errSim) {
				t.Error(step, err, report)
			}
			if got := len(w.history()); got != int(reg.from)-1 {
				t.Error(step, w.history())
			}
		}
	})
}
