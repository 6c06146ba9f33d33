package failover

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestClientExpiresInSearch ends the context of a record that is being looked for: its memory is
// the caller's again, and it is never written.
func TestClientExpiresInSearch(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil)
		if err := c.ProduceSync(s.Context(), one("first")).FirstErr(); err != nil {
			s.Fatal(err)
		}
		s.deaf.Store(true)
		value, done := []byte("late"), make(chan error, 1)
		ctx, cancel := context.WithCancel(s.Context())
		defer cancel()
		c.Produce(ctx, &kgo.Record{Topic: simTopic, Value: value}, func(_ *kgo.Record, err error) {
			copy(value, "gone")
			done <- err
		})
		s.closes("a", "b", false)
		pause(s.Context(), 11*time.Second)
		s.opens("b", "a", "b", false)
		k := testkafka.Kfake(s.b)
		k.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
			cancel()
			k.SleepControl(func() { pause(s.Context(), time.Second) })
			return nil, nil, false
		})
		s.arrives(c, "b", 3)
		is(s.T, <-done, context.Canceled)
		pause(s.Context(), time.Minute)
		if n := c.BufferedProduceRecords(); n != 0 {
			s.Errorf("%d records are left", n)
		}
		for _, rs := range simRead(s.T, s.b) {
			for _, r := range rs {
				s.Errorf("%q was written", r.Value)
			}
		}
	})
}

// TestClientReplaysWithoutForks has an epoch say nothing of where its cluster's log ended: acked
// records that the copy has are found there.
func TestClientReplaysWithoutForks(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(func(cfg *Config) {
			cfg.Replay = &Replay{Confirmed: func(context.Context, string, []string) (map[string]map[int32]int64, error) {
				return nil, errors.New("not now")
			}}
		}, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		cp := startCopy(s.T, s.a, s.b, 3, func() time.Duration { return 0 })
		for _, value := range []string{"0", "1", "2", "3"} {
			if err := c.ProduceSync(s.Context(), one(value)).FirstErr(); err != nil {
				s.Fatal(err)
			}
		}
		pause(s.Context(), time.Second)
		s.closes("a", "b", false)
		pause(s.Context(), c.cfg.Lease+c.cfg.Lease/100)
		cp.end()
		s.advance(register.Epoch{Active: "b", From: "a", Target: "b", Switch: "ab", By: "test"})
		s.arrives(c, "b", 3)
		if err := c.Flush(s.Context()); err != nil {
			s.Fatal(err)
		}
		if got := ends(s.T, s.b)[0]; got != 4 {
			s.Errorf("%d records, want 4", got)
		}
	})
}

// TestClientSearchesBehindLogStart has records been deleted since the client's last ack in a
// partition.
func TestClientSearchesBehindLogStart(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		cp := startCopy(s.T, s.a, s.b, 3, func() time.Duration { return 0 })
		other := testkafka.Client(s.T, s.a, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for _, p := range []interface {
			ProduceSync(context.Context, ...*kgo.Record) kgo.ProduceResults
		}{c, other, other} {
			if err := p.ProduceSync(s.Context(), one("x")).FirstErr(); err != nil {
				s.Fatal(err)
			}
		}
		pause(s.Context(), time.Second)
		kadmDeleteRecords(s, s.b, 3)
		s.deaf.Store(true)
		errs := make(chan error, 1)
		c.Produce(s.Context(), one("y"), func(_ *kgo.Record, err error) { errs <- err })
		s.forced(c, cp)
		if err := <-errs; err != nil {
			s.Error(err)
		}
		if got := ends(s.T, s.b)[0]; got != 4 {
			s.Errorf("%d records, want 4", got)
		}
	})
}

// TestClientConfirmsDeletedRecords has the standby delete what is kept in one partition: the others
// are confirmed.
func TestClientConfirmsDeletedRecords(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(func(cfg *Config) { cfg.Replay = &Replay{Every: 10 * time.Second} }, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		s.closes("a", "b", false)
		s.opens("a", "a", "b", false)
		s.arrives(c, "a", 3)
		cp := startCopy(s.T, s.a, s.b, 2, func() time.Duration { return 0 })
		defer cp.end()
		for p := range int32(2) {
			r := one("x")
			r.Partition = p
			if err := c.ProduceSync(s.Context(), r).FirstErr(); err != nil {
				s.Fatal(err)
			}
		}
		pause(s.Context(), time.Second)
		kadmDeleteRecords(s, s.b, 1)
		pause(s.Context(), time.Minute)
		if st := c.Status(); st.Unconfirmed > 1 {
			s.Error(st)
		}
	})
}

// kadmDeleteRecords deletes those of the first partition below an offset.
func kadmDeleteRecords(s *sim, cl testkafka.Cluster, below int64) {
	s.Helper()
	var os kadm.Offsets
	os.AddOffset(simTopic, 0, below, -1)
	if _, err := kadm.NewClient(testkafka.Client(s.T, cl)).DeleteRecords(s.Context(), os); err != nil {
		s.Fatal(err)
	}
}

// TestClientConfirmsWhatItCompared acks a record while others are compared: the standby, which was
// active before, has another one at its offset.
func TestClientConfirmsWhatItCompared(t *testing.T) {
	bubble(t, func(s *sim) {
		manual := kgo.RecordPartitioner(kgo.ManualPartitioner())
		for range 3 {
			if err := testkafka.Client(s.T, s.b, manual).ProduceSync(s.Context(), one("tail")).FirstErr(); err != nil {
				s.Fatal(err)
			}
		}
		c := s.client(func(cfg *Config) { cfg.Replay = &Replay{} }, manual)
		s.closes("a", "b", false)
		s.opens("a", "a", "b", false)
		s.arrives(c, "a", 3)
		second := one("x")
		second.Partition = 1
		second.Timestamp = time.Now()
		again := *second
		if err := testkafka.Client(s.T, s.b, manual).ProduceSync(s.Context(), &again).FirstErr(); err != nil {
			s.Fatal(err)
		}
		asked, acked := make(chan struct{}), make(chan struct{})
		k := testkafka.Kfake(s.b)
		k.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			k.DropControl()
			k.SleepControl(func() { close(asked); <-acked })
			return nil, nil, false
		})
		if err := c.ProduceSync(s.Context(), second).FirstErr(); err != nil {
			s.Fatal(err)
		}
		<-asked
		if err := c.ProduceSync(s.Context(), one("y")).FirstErr(); err != nil {
			s.Fatal(err)
		}
		if st := c.Status(); st.Unconfirmed != 2 {
			s.Error(st)
		}
		close(acked)
		pause(s.Context(), 10*time.Second)
		if st := c.Status(); st.Unconfirmed != 1 {
			s.Error(st)
		}
	})
}
