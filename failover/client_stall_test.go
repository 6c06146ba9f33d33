package failover

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestClientSilentContext ends a record's context before it is noticed that the cluster is silent.
func TestClientSilentContext(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil)
		if err := c.ProduceSync(s.Context(), one("first")).FirstErr(); err != nil {
			s.Fatal(err)
		}
		s.a.Pause(s.T, 0)
		ctx, cancel := context.WithTimeout(s.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		is(s.T, c.ProduceSync(ctx, one("late")).FirstErr(), context.DeadlineExceeded)
		if took := time.Since(begun); took > 3*quietFor {
			s.Errorf("after %v", took)
		}
	})
}

// TestClientHeardAgain has a cluster answer again after a session was to be made anew, and before it was: it is gone on with.
func TestClientHeardAgain(t *testing.T) {
	bubble(t, func(s *sim) {
		hook := 20 * time.Second
		c := s.client(func(cfg *Config) { cfg.Hooks.OnSwitch = func(ClientReport) { pause(s.Context(), hook) } }, kgo.ProducerLinger(time.Second))
		if err := c.ProduceSync(s.Context(), one("first")).FirstErr(); err != nil {
			s.Fatal(err)
		}
		s.closes("a", "b", true)
		pause(s.Context(), 11*time.Second)
		s.opens("b", "a", "b", true)
		s.arrives(c, "b", 3)
		arrived := time.Now()
		if err := c.ProduceSync(s.Context(), one("second")).FirstErr(); err != nil {
			s.Fatal(err)
		}
		s.b.Pause(s.T, 0)
		ctx, cancel := context.WithTimeout(s.Context(), 5*time.Second)
		defer cancel()
		errs := make(chan error, 10)
		c.Produce(ctx, one("x"), func(_ *kgo.Record, err error) { errs <- err })
		pause(s.Context(), 6*time.Second)
		s.b.Resume(s.T, 0)
		if err := <-errs; err != nil {
			s.Fatal(err)
		}
		pause(s.Context(), hook-1600*time.Millisecond-time.Since(arrived))
		if err := c.ProduceSync(s.Context(), one("third")).FirstErr(); err != nil { // it isn't silent
			s.Fatal(err)
		}
		c.Produce(s.Context(), one("y"), func(_ *kgo.Record, err error) { errs <- err })
		pause(s.Context(), 10*time.Second)
		if len(errs) != 1 {
			s.Errorf("%d promises", len(errs))
		}
		if got := ends(s.T, s.b); got[0]+got[1] != 4 {
			s.Errorf("%v records, want 4", got)
		}
	})
}

// TestClientRefusedAnew makes a session anew while a refusal waits for the register.
func TestClientRefusedAnew(t *testing.T) {
	bubble(t, func(s *sim) {
		reg := &outage{Register: s.reg}
		c := s.client(func(cfg *Config) { cfg.Register = reg })
		reg.set(true)
		testkafka.Kfake(s.a).ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
			return denied(req.(*kmsg.ProduceRequest)), nil, true
		})
		var calls atomic.Int32
		c.Produce(s.Context(), one("x"), func(_ *kgo.Record, err error) {
			if calls.Add(1); err != nil && !errors.Is(err, kerr.TopicAuthorizationFailed) {
				s.Error(err)
			}
		})
		pause(s.Context(), 100*time.Millisecond)
		s.a.Pause(s.T, 0)
		is(s.T, s.within(5*time.Second, func(ctx context.Context) error { return c.ProduceSync(ctx, one("y")).FirstErr() }), context.DeadlineExceeded)
		s.a.Resume(s.T, 0)
		pause(s.Context(), 20*time.Second)
		reg.set(false)
		pause(s.Context(), 20*time.Second)
		if got := calls.Load(); got != 1 {
			s.Errorf("%d promises", got)
		}
	})
}
