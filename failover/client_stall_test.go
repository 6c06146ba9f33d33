package failover

import (
	"context"
	"errors"
	"fmt"
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

// TestClientSilentState: a cluster that answers nothing is a state of its own, until it answers
// again.
func TestClientSilentState(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil)
		s.produce(c, "first")
		if st := c.Status(); st.State != ClientActive || st.Scope != "default" {
			s.Errorf("%+v", st)
		}
		s.a.Pause(s.T, 0)
		done := make(chan error, 1)
		c.Produce(s.Context(), one("waits"), func(_ *kgo.Record, err error) { done <- err })
		pause(s.Context(), 3*quietFor)
		if st := c.Status(); st.State != ClientSilent || st.Unacked != 1 || st.Cluster != "a" {
			s.Errorf("%+v", st)
		}
		s.a.Resume(s.T, 0)
		if err := <-done; err != nil {
			s.Error(err)
		}
		pause(s.Context(), 2*quietFor)
		if st := c.Status(); st.State != ClientActive {
			s.Errorf("%+v", st)
		}
	})
}

// TestClientImpatientAmongPatient has the leader take a produce request, and append and answer it
// eight seconds later. One record's deadline passes meanwhile: that one is answered, alone, and its
// memory is the caller's. The others are written once.
func TestClientImpatientAmongPatient(t *testing.T) {
	for name, set := range map[string]func(*Config){
		"flights": func(*Config) {}, "replay": func(cfg *Config) { cfg.Replay = &Replay{} },
		"delivery timeout": func(cfg *Config) { cfg.Opts = append(cfg.Opts, kgo.RecordDeliveryTimeout(time.Minute)) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *sim) {
				c := s.client(set, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics(simTopic))
				s.produce(c, "first")
				fake := testkafka.Kfake(s.a)
				var stalls atomic.Int32
				fake.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
					if stalls.Add(1) == 1 {
						fake.KeepControl()
						fake.SleepControl(func() { pause(context.Background(), 8*time.Second) })
					}
					return nil, nil, false
				})
				errs := make(chan error, 20)
				for n := range 20 {
					c.Produce(s.Context(), one(fmt.Sprint("patient", n)), func(_ *kgo.Record, err error) { errs <- err })
				}
				pause(s.Context(), 50*time.Millisecond)
				before := c.BufferedProduceRecords()
				value, begun := []byte("impatient"), time.Now()
				r := &kgo.Record{Topic: simTopic, Key: []byte("key"), Value: value}
				ctx, cancel := context.WithTimeout(s.Context(), 3*time.Second)
				defer cancel()
				err := c.ProduceSync(ctx, r).FirstErr()
				is(s.T, err, ErrInDoubt, context.DeadlineExceeded)
				if d := time.Since(begun); d > 3*time.Second+quietFor {
					s.Errorf("answered after %v", d)
				}
				if string(r.Value) != "impatient" || &r.Value[0] != &value[0] || r.Topic != simTopic {
					s.Errorf("the caller's record is %+v", r)
				}
				copy(value, "reused...")
				if n := c.BufferedProduceRecords(); n != before {
					s.Errorf("%d records are buffered, want %d", n, before)
				}
				for range 20 {
					if err := <-errs; err != nil {
						s.Error(err)
					}
				}
				pause(s.Context(), time.Minute)
				count := map[string]int{}
				for _, r := range simRead(s.T, s.a)[0] {
					count[string(r.Value)]++
				}
				for n := range 20 {
					if got := count[fmt.Sprint("patient", n)]; got != 1 {
						s.Errorf("patient%d was written %d times", n, got)
					}
				}
				if count["impatient"] > 1 || count["reused..."] > 0 {
					s.Errorf("%v", count)
				}
				if n, b := c.BufferedProduceRecords(), c.BufferedProduceBytes(); n != 0 || b != 0 {
					s.Errorf("%d records of %d bytes are left", n, b)
				}
			})
		})
	}
}

// TestClientLingersInPeace has records wait for a flush, or a long linger, for longer than a
// cluster may be silent. One record's deadline passes: nothing becomes of the others, by whatever
// policy.
func TestClientLingersInPeace(t *testing.T) {
	for name, opt := range map[string]kgo.Opt{"manual": kgo.ManualFlushing(), "linger": kgo.ProducerLinger(10 * time.Second)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *sim) {
				c := s.client(func(cfg *Config) { cfg.InDoubt = Drop }, kgo.RecordPartitioner(kgo.ManualPartitioner()), opt)
				errs := make(chan error, 11)
				note := func(_ *kgo.Record, err error) { errs <- err }
				c.Produce(s.Context(), one("first"), note)
				if err := errors.Join(c.Flush(s.Context()), <-errs); err != nil {
					s.Fatal(err)
				}
				for n := range 10 {
					c.Produce(s.Context(), one(fmt.Sprint(n)), note)
				}
				ctx, cancel := context.WithTimeout(s.Context(), 3*time.Second)
				defer cancel()
				c.Produce(ctx, one("short"), note)
				pause(s.Context(), 8*time.Second)
				is(s.T, <-errs, context.DeadlineExceeded)
				if err := c.Flush(s.Context()); err != nil {
					s.Error(err)
				}
				for range 10 {
					if err := <-errs; err != nil {
						s.Error(err)
					}
				}
			})
		})
	}
}

// TestClientRefusedInStall ends another record's context in a stall while a refusal waits for the
// register.
func TestClientRefusedInStall(t *testing.T) {
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
