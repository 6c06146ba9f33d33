package failover

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
)

// pairs notes what OnUnprotected is called with.
type pairs struct {
	mu    sync.Mutex
	calls []bool
}

func (p *pairs) call(unprotected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, unprotected)
}

func (p *pairs) are(t *testing.T, want ...bool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.calls, want) {
		t.Errorf("OnUnprotected was called with %v, want %v", p.calls, want)
	}
}

// TestClientReplayLetsGo fills the buffer while the copy stands still: producing goes on. What was
// let go is said, and that it isn't in danger any more once the copy has it.
func TestClientReplayLetsGo(t *testing.T) {
	bubble(t, func(s *sim) {
		var hook pairs
		c := s.client(func(cfg *Config) { cfg.Replay, cfg.Hooks.OnUnprotected = &Replay{Records: 5}, hook.call }, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for n := range 5 {
			s.produce(c, fmt.Sprint(n))
		}
		if st := c.Status(); st.LetGo != 0 || !st.Unprotected.IsZero() {
			s.Errorf("before the buffer is full: %+v", st)
		}
		begun := time.Now()
		for n := range 20 {
			s.produce(c, fmt.Sprint("more", n))
		}
		st := c.Status()
		if st.LetGo != 20 || st.Unconfirmed != 5 || st.Waited != 0 || st.State != ClientActive || st.Unprotected.Before(begun) {
			s.Errorf("%+v", st)
		}
		pause(s.Context(), 3*time.Second)
		hook.are(s.T, true)
		cp := startCopy(s.T, s.a, s.b, 100, func() time.Duration { return 0 })
		defer cp.end()
		pause(s.Context(), 10*time.Second)
		if st := c.Status(); st.Unconfirmed != 0 || !st.Unprotected.IsZero() {
			s.Errorf("when the copy has all: %+v", st)
		}
		hook.are(s.T, true, false)
	})
}

// TestClientReplayAfterFailover has the survivor of a failover go on for longer than its buffer
// lasts, with either policy: its standby is gone, and nothing is copied.
func TestClientReplayAfterFailover(t *testing.T) {
	for _, block := range []bool{false, true} {
		t.Run(fmt.Sprint("block ", block), func(t *testing.T) {
			bubble(t, func(s *sim) {
				c := s.client(func(cfg *Config) { cfg.Replay = &Replay{Records: 100, Block: block} }, kgo.RecordPartitioner(kgo.ManualPartitioner()))
				cp := startCopy(s.T, s.a, s.b, 1000, s.pace())
				for n := range 20 {
					s.produce(c, fmt.Sprint(n))
				}
				pause(s.Context(), 5*time.Second)
				s.a.Kill(s.T, 0)
				s.forced(c, cp)
				begun := time.Now()
				for n := range 500 {
					s.produce(c, fmt.Sprint("after", n))
				}
				if d := time.Since(begun); d > 15*time.Second {
					s.Errorf("500 records took %v", d)
				}
				if st := c.Status(); st.LetGo < 400 || st.Unprotected.IsZero() {
					s.Errorf("%+v", st)
				}
			})
		})
	}
}

// TestClientReplayBlocks fills the buffer while the copy moves: who says so waits, which can be
// seen, until it has moved on, or stands still.
func TestClientReplayBlocks(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(func(cfg *Config) { cfg.Replay = &Replay{Records: 5, Block: true} }, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for n := range 5 {
			s.produce(c, fmt.Sprint(n))
		}
		begun := time.Now()
		err := s.within(2*time.Second, func(ctx context.Context) error { return c.ProduceSync(ctx, one("impatient")).FirstErr() })
		is(s.T, err, kgo.ErrMaxBuffered, context.DeadlineExceeded)
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.produce(c, "patient")
		}()
		pause(s.Context(), time.Second)
		if st := c.Status(); st.Waited != 2 || st.Blocked != 1 || st.LetGo != 0 {
			s.Errorf("while it waits: %+v", st)
		}
		<-done
		if d := time.Since(begun); d < 9*time.Second || d > 12*time.Second {
			s.Errorf("a copy that stands still was waited for %v", d)
		}
		if st := c.Status(); st.Blocked != 0 || st.LetGo != 1 {
			s.Errorf("when it doesn't wait any more: %+v", st)
		}
		cp := startCopy(s.T, s.a, s.b, 100, func() time.Duration { return 0 })
		defer cp.end()
		pause(s.Context(), 3*time.Second)
		begun = time.Now()
		for n := range 50 {
			s.produce(c, fmt.Sprint("copied", n))
		}
		if st := c.Status(); st.LetGo != 1 || st.Waited <= 2 {
			s.Errorf("with a copy that moves, after %v: %+v", time.Since(begun), st)
		}
	})
}

// TestClientKeepsWhatWasFound loses the ack of a record, finds it on the same cluster after a
// switch that was given up, and loses that cluster before the copy has the record: it is produced
// on the other one, as any that was acked.
func TestClientKeepsWhatWasFound(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(func(cfg *Config) { cfg.Replay = &Replay{} }, kgo.RecordPartitioner(kgo.ManualPartitioner()))
		s.produce(c, "first")
		s.deaf.Store(true)
		value, acked := []byte("second"), make(chan error, 1)
		c.Produce(s.Context(), &kgo.Record{Topic: simTopic, Value: value}, func(_ *kgo.Record, err error) {
			copy(value, "reused")
			acked <- err
		})
		pause(s.Context(), time.Second)
		s.closes("a", "b", false)
		pause(s.Context(), 11*time.Second)
		s.deaf.Store(false)
		s.opens("a", "a", "b", false)
		s.arrives(c, "a", 3)
		if err := <-acked; err != nil {
			s.Fatal(err)
		}
		if st := c.Status(); st.Last.Found != 1 || st.Unconfirmed != 2 {
			s.Errorf("found and kept: %+v, %+v", st, st.Last)
		}
		s.a.Kill(s.T, 0)
		again := register.Epoch{From: "a", Target: "b", Switch: "again", By: "test"}
		s.advance(again)
		pause(s.Context(), 11*time.Second)
		again.Active, again.Forks = "b", []register.Fork{{Topic: simTopic, Partition: 0}, {Topic: simTopic, Partition: 1}}
		s.advance(again)
		s.arrives(c, "b", 5)
		if err := c.Flush(s.Context()); err != nil {
			s.Fatal(err)
		}
		var got []string
		for _, r := range simRead(s.T, s.b)[0] {
			got = append(got, string(r.Value))
		}
		if want := []string{"first", "second"}; !slices.Equal(got, want) {
			s.Errorf("b has %q, want %q", got, want)
		}
	})
}

// produce fails the test where a record isn't acked.
func (s *sim) produce(c *Client, value string) {
	s.Helper()
	if err := c.ProduceSync(s.Context(), one(value)).FirstErr(); err != nil {
		s.Error(err)
	}
}
