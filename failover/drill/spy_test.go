package drill

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
)

// noEpochs is a register that has none and takes all.
type noEpochs struct{}

func (noEpochs) Get(context.Context, string, int64) (register.Epoch, error) {
	return register.Epoch{}, register.ErrNoEpoch
}
func (noEpochs) Create(context.Context, register.Epoch) error { return nil }

func TestSpy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []register.Epoch
		s := newSpy(noEpochs{}, func(e register.Epoch) { seen = append(seen, e) })
		get := func() (time.Duration, error) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begin := time.Now()
			_, err := s.Get(ctx, "default", 1)
			return time.Since(begin), err
		}
		for _, c := range []struct {
			f    Fault
			want error
			took time.Duration
		}{
			{Fault{Kind: Kill}, errRegister, 0},
			{Fault{Kind: Flap}, errRegister, 0},
			{Fault{Kind: Blackhole}, context.DeadlineExceeded, time.Minute},
			{Fault{Kind: Slow, Latency: Duration(time.Second)}, register.ErrNoEpoch, time.Second},
		} {
			_ = s.Inject(t.Context(), c.f)
			if took, err := get(); !errors.Is(err, c.want) || took != c.took {
				t.Errorf("%v: %v after %v", c.f, err, took)
			}
			_ = s.Heal(t.Context(), c.f)
		}
		f := Fault{Kind: Blackhole}
		_ = s.Inject(t.Context(), f)
		heal := time.AfterFunc(time.Second, func() { _ = s.Heal(t.Context(), f) })
		defer heal.Stop()
		if err := s.Create(t.Context(), register.Epoch{Number: 1}); err != nil || len(seen) != 1 {
			t.Error(err, seen)
		}
	})
}

// unclear is a register whose creations fail and have succeeded.
type unclear struct{ register.Register }

func (u unclear) Create(ctx context.Context, e register.Epoch) error {
	return errors.Join(errors.New("no answer"), u.Register.Create(ctx, e))
}

// An epoch that is there is told of once, in order, whatever its creation came to.
func TestSpyUnclear(t *testing.T) {
	var seen []int64
	s := newSpy(unclear{register.NewMemory()}, func(e register.Epoch) { seen = append(seen, e.Number) })
	e := register.Epoch{Scope: "s", Number: 1, Active: "a", At: time.Now()}
	if err := s.Create(t.Context(), e); err == nil || len(seen) > 0 {
		t.Error(err, seen)
	}
	s.begin(1)
	for _, next := range []register.Epoch{{From: "a", Target: "b", Switch: "x"}, {Active: "b", From: "a", Target: "b", Switch: "x"}, {From: "b", Target: "a", Switch: "y"}} {
		var err error
		if e, err = register.Advance(t.Context(), s.Register.(unclear).Register, e, next); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := register.Latest(t.Context(), s, "s"); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int64{2, 3, 4}; !slices.Equal(seen, want) {
		t.Error(seen)
	}
}
