package drill

import (
	"context"
	"errors"
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
