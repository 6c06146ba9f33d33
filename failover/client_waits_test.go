package failover

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// bubble runs f with clusters in simulated time.
func bubble(t *testing.T, f func(*sim)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newSim(t, 1)) })
}

// within fails where f takes longer than it may.
func (s *sim) within(d time.Duration, f func(context.Context) error) error {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), d)
	defer cancel()
	begun := time.Now()
	err := f(ctx)
	if took := time.Since(begun); took > d+100*time.Millisecond {
		s.Errorf("took %v, has %v", took, d)
	}
	return err
}

func one(value string) *kgo.Record { return &kgo.Record{Topic: simTopic, Value: []byte(value)} }

func is(t *testing.T, err error, all ...error) {
	t.Helper()
	for _, want := range all {
		if !errors.Is(err, want) {
			t.Errorf("%v isn't %v", err, want)
		}
	}
}

// TestClientContexts ends contexts while nothing can be sent.
func TestClientContexts(t *testing.T) {
	calls := map[string]func(context.Context, *Client) error{
		"produce": func(ctx context.Context, c *Client) error { return c.ProduceSync(ctx, one("late")).FirstErr() },
		"flush":   func(ctx context.Context, c *Client) error { return c.Flush(ctx) },
		"poll":    func(ctx context.Context, c *Client) error { return c.PollFetches(ctx).Err0() },
		"commit":  func(ctx context.Context, c *Client) error { return c.CommitRecords(ctx, one("x")) },
		"ping":    func(ctx context.Context, c *Client) error { return c.Ping(ctx) },
		"do": func(ctx context.Context, c *Client) error {
			return c.Do(ctx, func(context.Context, *kgo.Client) error { return nil })
		},
		"commit marked":      func(ctx context.Context, c *Client) error { return c.CommitMarkedOffsets(ctx) },
		"commit uncommitted": func(ctx context.Context, c *Client) error { return c.CommitUncommittedOffsets(ctx) },
		"abort":              func(ctx context.Context, c *Client) error { return c.AbortBufferedRecords(ctx) },
	}
	for name, call := range calls {
		t.Run("switching: "+name, func(t *testing.T) {
			bubble(t, func(s *sim) {
				t := s.T
				c := s.client(nil)
				s.a.Pause(t, 0)
				errs := make(chan error, 1)
				sent := make(chan struct{})
				go func() { // a record that is in kgo
					errs <- s.within(30*time.Second, func(ctx context.Context) error {
						close(sent)
						return c.ProduceSync(ctx, one("first")).FirstErr()
					})
				}()
				<-sent
				pause(t.Context(), time.Second)
				s.closes("a", "b", false)
				pause(t.Context(), 12*time.Second)
				is(t, s.within(3*time.Second, func(ctx context.Context) error { return call(ctx, c) }), context.DeadlineExceeded)
				is(t, <-errs, context.DeadlineExceeded, ErrSwitching)
			})
		})
	}
}

// TestClientFencedContext ends a record's context after kgo has tried to send it, in vain, because
// the lease is over: its memory is the caller's again. It is in doubt: kgo may have sent it.
func TestClientFencedContext(t *testing.T) {
	bubble(t, func(s *sim) {
		t := s.T
		reg := &outage{Register: s.reg}
		c := s.client(func(cfg *Config) { cfg.Register = reg }, kgo.ProducerLinger(9*time.Second))
		reg.set(true)
		pause(t.Context(), 5*time.Second)
		value := []byte("late")
		err := s.within(20*time.Second, func(ctx context.Context) error {
			return c.ProduceSync(ctx, &kgo.Record{Topic: simTopic, Value: value}).FirstErr()
		})
		is(t, err, context.DeadlineExceeded, ErrFenced, ErrInDoubt)
		copy(value, "gone")
		pause(t.Context(), time.Minute)
		if st := c.Status(); st.State != ClientFenced {
			t.Error(st)
		}
		reg.set(false)
		if err := c.ProduceSync(t.Context(), one("next")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		for _, rs := range simRead(t, s.a) {
			for _, r := range rs {
				if string(r.Value) != "next" && string(r.Value) != "late" {
					t.Errorf("%q was written", r.Value)
				}
			}
		}
	})
}

func TestClientMaxWait(t *testing.T) {
	bubble(t, func(s *sim) {
		t := s.T
		c := s.client(func(cfg *Config) { cfg.MaxWait = 3 * time.Second })
		s.closes("a", "b", false)
		pause(t.Context(), 3*time.Second)
		begun := time.Now()
		is(t, c.ProduceSync(t.Context(), one("x")).FirstErr(), ErrSwitching)
		if took := time.Since(begun); took != 3*time.Second {
			t.Errorf("waited for %v", took)
		}
	})
}

// TestClientRefused has the brokers deny writes: for good, or because a switch has fenced the
// cluster and the client hasn't seen it yet.
func TestClientRefused(t *testing.T) {
	for _, fence := range []bool{false, true} {
		t.Run(fmt.Sprint("fence ", fence), func(t *testing.T) {
			bubble(t, func(s *sim) {
				t := s.T
				c := s.client(nil)
				k := testkafka.Kfake(s.a)
				k.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
					k.KeepControl()
					return denied(req.(*kmsg.ProduceRequest)), nil, true
				})
				pause(t.Context(), 100*time.Millisecond)
				if fence {
					s.closes("a", "b", true)
				}
				errs := make(chan error, 1)
				begun := time.Now()
				c.Produce(t.Context(), one("x"), func(_ *kgo.Record, err error) { errs <- err })
				if fence {
					pause(t.Context(), time.Second)
					s.opens("b", "a", "b", true)
					if err := <-errs; err != nil {
						t.Error(err)
					}
					if ends(t, s.b)[0]+ends(t, s.b)[1] != 1 {
						t.Error(ends(t, s.b))
					}
					return
				}
				is(t, <-errs, kerr.TopicAuthorizationFailed)
				if took := time.Since(begun); took > time.Second {
					t.Errorf("after %v", took)
				}
				if err := c.Flush(t.Context()); err != nil || c.BufferedProduceRecords() > 0 {
					t.Error(err, c.BufferedProduceRecords())
				}
			})
		})
	}
}

func denied(req *kmsg.ProduceRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode, rp.BaseOffset = p.Partition, kerr.TopicAuthorizationFailed.Code, -1
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// TestClientPolicies has a record in doubt that the standby hasn't got, and one that it has.
func TestClientPolicies(t *testing.T) {
	for _, policy := range []InDoubtPolicy{Resend, Drop, HandBack} {
		t.Run(string(policy), func(t *testing.T) {
			bubble(t, func(s *sim) {
				t := s.T
				var report ClientReport
				c := s.client(func(cfg *Config) {
					cfg.InDoubt = policy
					cfg.Hooks.OnSwitch = func(r ClientReport) { report = r }
				}, kgo.RecordPartitioner(kgo.ManualPartitioner()))
				cp := startCopy(t, s.a, s.b, 2, func() time.Duration { return 0 })
				if err := c.ProduceSync(t.Context(), one("same")).FirstErr(); err != nil {
					t.Fatal(err)
				}
				pause(t.Context(), time.Second)
				s.deaf.Store(true)
				at := time.Now()
				errs := make(chan error, 3)
				for _, value := range []string{"same", "same", "other"} {
					r := one(value)
					r.Timestamp = at
					c.Produce(t.Context(), r, func(_ *kgo.Record, err error) { errs <- err })
				}
				s.forced(c, cp)
				found := <-errs
				if found != nil {
					t.Error(found)
				}
				for range 2 {
					err := <-errs
					var back *InDoubtError
					switch {
					case policy == Resend && err != nil, policy == Drop && !errors.Is(err, ErrInDoubt), policy == HandBack && (!errors.As(err, &back) || back.From != "a"):
						t.Error(err)
					}
				}
				if report.InDoubt != 3 || report.Found != 1 || report.Resent+report.Dropped+report.HandedBack != 2 {
					t.Error(report)
				}
				want := int64(2)
				if policy == Resend {
					want = 4
				}
				if got := ends(t, s.b)[0]; got != want {
					t.Errorf("%d records, want %d", got, want)
				}
			})
		})
	}
}

// TestClientDeliveryTimeout holds that kgo's option counts for records, and doesn't for what is
// replayed.
func TestClientDeliveryTimeout(t *testing.T) {
	bubble(t, func(s *sim) {
		t := s.T
		c := s.client(func(cfg *Config) { cfg.Replay = &Replay{} }, kgo.RecordDeliveryTimeout(5*time.Second))
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		err := c.ProduceSync(short, one("x")).FirstErr()
		if cancel(); err != nil {
			t.Fatal(err)
		}
		pause(t.Context(), time.Minute)
		s.a.Kill(t, 0)
		s.closes("a", "b", false)
		pause(t.Context(), 11*time.Second)
		begun := time.Now()
		s.opens("b", "a", "b", false)
		s.arrives(c, "b", 3)
		if err := c.Flush(t.Context()); err != nil {
			t.Error(err)
		}
		if got := ends(t, s.b); got[0]+got[1] != 1 {
			t.Error("the record wasn't replayed:", got, time.Since(begun))
		}
		s.b.Kill(t, 0)
		pause(t.Context(), time.Second)
		is(t, c.ProduceSync(t.Context(), one("y")).FirstErr(), kgo.ErrRecordTimeout)
	})
}

// TestClientPlannedTransaction has a planned switch cut a transaction off: it is aborted, so that
// the old cluster's readers, and the copy, aren't held back.
func TestClientPlannedTransaction(t *testing.T) {
	bubble(t, func(s *sim) {
		t := s.T
		c := s.client(nil, kgo.TransactionalID("x"))
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := c.ProduceSync(t.Context(), one("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		s.closes("a", "b", true)
		pause(t.Context(), 3*time.Second)
		if err := c.ProduceSync(t.Context(), one("y")).FirstErr(); !errors.Is(err, ErrEpochEnded) {
			t.Error(err)
		}
		is(t, c.EndTransaction(t.Context(), kgo.TryCommit), ErrEpochEnded)
		stable, err := kadm.NewClient(testkafka.Client(t, s.a)).ListCommittedOffsets(t.Context(), simTopic)
		if err != nil {
			t.Fatal(err)
		}
		for p, end := range ends(t, s.a) {
			if o, _ := stable.Lookup(simTopic, int32(p)); o.Offset != end {
				t.Errorf("partition %d is stable up to %d of %d", p, o.Offset, end)
			}
		}
		s.opens("b", "a", "b", true)
		s.arrives(c, "b", 3)
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := c.ProduceSync(t.Context(), one("z")).FirstErr(); err != nil {
			t.Error(err)
		}
		if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Error(err)
		}
	})
}

// TestClientConfirmsByContent has the standby, which was active before, hold records of its own at
// the offsets of the client's: those don't count as its copy.
func TestClientConfirmsByContent(t *testing.T) {
	bubble(t, func(s *sim) {
		t := s.T
		p := testkafka.Client(t, s.b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for range 3 {
			if err := p.ProduceSync(t.Context(), one("tail")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		c := s.client(func(cfg *Config) { cfg.Replay = &Replay{} }, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		s.closes("a", "b", false) // and given up: what was there before isn't known any more
		s.opens("a", "a", "b", false)
		s.arrives(c, "a", 3)
		for n := range 2 {
			if err := c.ProduceSync(t.Context(), one(fmt.Sprint(n))).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		pause(t.Context(), 10*time.Second)
		if st := c.Status(); st.Unconfirmed != 2 {
			t.Error(st)
		}
		if err := kadmDelete(t, s.b); err != nil {
			t.Fatal(err)
		}
		cp := startCopy(t, s.a, s.b, 2, s.pace())
		defer cp.end()
		pause(t.Context(), 10*time.Second)
		if st := c.Status(); st.Unconfirmed != 0 {
			t.Error(st)
		}
	})
}

// kadmDelete makes the topic anew.
func kadmDelete(t *testing.T, cl testkafka.Cluster) error {
	adm := kadm.NewClient(testkafka.Client(t, cl))
	if _, err := adm.DeleteTopics(t.Context(), simTopic); err != nil {
		return err
	}
	_, err := adm.CreateTopic(t.Context(), simPartitions, 1, nil, simTopic)
	return err
}
