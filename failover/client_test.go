package failover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// A planned switch under load: what was acked on a is mirrored, the rest goes to b, in order, once
// each.
func TestClientPlanned(t *testing.T) {
	s := newStage(t, "t")
	s.mirror()
	reports := make(chan ClientReport, 1)
	c := s.client(func(cfg *Config) { cfg.Hooks.OnSwitch = func(r ClientReport) { reports <- r } })
	const keys, n = 5, 200
	errs := make(chan error, keys*n)
	halfway := make(chan struct{})
	go func() {
		for i := range n {
			if i == n/2 {
				close(halfway)
			}
			for k := range keys {
				c.Produce(t.Context(), record("t", k, i), func(_ *kgo.Record, err error) { errs <- err })
			}
		}
	}()
	<-halfway
	s.closes(true)
	testkafka.Eventually(t, 10*time.Second, func(context.Context) error {
		if st := c.Status(); st.State != ClientSwitching || c.sending() > 0 {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	s.drained("t")
	s.stopMM()
	s.opens("b", true)
	for range keys * n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if r := <-reports; r.To != "b" || r.Dropped+r.HandedBack > 0 {
		t.Error(r)
	} else {
		t.Log(r)
	}
	inOrder(t, logged(t, s.b, "t"), keys, n)
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

// sending counts what the last session hasn't answered.
func (c *Client) sending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takeAcks()
	if c.last == nil {
		return 0
	}
	return c.last.sent
}

// The primary dies under load, with the mirror behind: with Replay nothing is lost, doubled or
// reordered on the standby.
func TestClientReplay(t *testing.T) {
	s := newStage(t, "t")
	s.mirror()
	reports := make(chan ClientReport, 1)
	c := s.client(func(cfg *Config) {
		cfg.Replay = &Replay{Every: 50 * time.Millisecond}
		cfg.Hooks.OnSwitch = func(r ClientReport) { reports <- r }
	})
	s.drained("t")
	const keys, n = 5, 200
	errs := make(chan error, keys*n)
	halfway := make(chan struct{})
	go func() {
		for i := range n {
			switch i {
			case n / 4:
				s.stopMM() // the mirror hasn't got the rest
			case n / 2:
				close(halfway)
			}
			for k := range keys {
				c.Produce(t.Context(), record("t", k, i), func(_ *kgo.Record, err error) { errs <- err })
			}
		}
	}()
	<-halfway
	s.a.Kill(t, s.a.Brokers()[0])
	s.closes(false)
	s.opens("b", false)
	for range keys * n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Log(<-reports)
	inOrder(t, logged(t, s.b, "t"), keys, n)
}

// A switch that is given up: what is in doubt is looked for on the same cluster.
func TestClientGivenUp(t *testing.T) {
	s := newStage(t, "t")
	c := s.client(nil)
	if err := c.ProduceSync(t.Context(), record("t", 0, 0)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	s.closes(false)
	testkafka.Eventually(t, 10*time.Second, func(context.Context) error {
		if st := c.Status(); st.State != ClientSwitching {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	c.TryProduce(t.Context(), record("t", 0, 9), func(_ *kgo.Record, err error) {
		if !errors.Is(err, ErrSwitching) {
			t.Error(err)
		}
	})
	s.opens("a", false)
	if err := c.ProduceSync(t.Context(), record("t", 0, 1)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	inOrder(t, logged(t, s.a, "t"), 1, 2)
}

// A group goes on where it was; records of the old epoch are committed below the fork, and refused
// beyond.
func TestClientConsumes(t *testing.T) {
	s := newStage(t, "t")
	s.mirror()
	c := s.client(nil, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for i := range 10 {
		if err := c.ProduceSync(t.Context(), record("t", 0, i)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var polled []*kgo.Record
	for len(polled) < 10 {
		fs := c.PollFetches(t.Context())
		if err := fs.Err0(); err != nil {
			t.Fatal(err)
		}
		polled = append(polled, fs.Records()...)
	}
	if err := c.CommitRecords(t.Context(), polled[:4]...); err != nil {
		t.Fatal(err)
	}
	at := func(cl testkafka.Cluster) int64 {
		t.Helper()
		os, err := kadm.NewClient(testkafka.Client(t, cl)).FetchOffsets(t.Context(), "g")
		if errors.Is(err, kerr.GroupIDNotFound) {
			return -1
		}
		if err != nil {
			t.Fatal(err)
		}
		o, _ := os.Lookup("t", polled[0].Partition)
		return o.At
	}
	testkafka.Eventually(t, 20*time.Second, func(context.Context) error {
		if got := at(s.b); got != 4 {
			return fmt.Errorf("the standby has %d", got)
		}
		return nil
	})
	s.stopMM()
	if err := c.ProduceSync(t.Context(), record("t", 0, 10)).FirstErr(); err != nil { // only on a
		t.Fatal(err)
	}
	for len(polled) < 11 {
		polled = append(polled, c.PollFetches(t.Context()).Records()...)
	}
	s.closes(false)
	s.opens("b", false)
	testkafka.Eventually(t, 10*time.Second, func(context.Context) error {
		if st := c.Status(); st.Cluster != "b" {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	var old *OldEpochError
	if err := c.CommitRecords(t.Context(), polled...); !errors.As(err, &old) || len(old.Records) != 1 || string(old.Records[0].Value) != "10" {
		t.Fatal(err)
	}
	if got := at(s.b); got != 10 {
		t.Errorf("committed %d on b", got)
	}
	if err := c.ProduceSync(t.Context(), record("t", 0, 11)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for {
		if rs := c.PollFetches(t.Context()).Records(); len(rs) > 0 && string(rs[len(rs)-1].Value) == "11" {
			break
		}
	}
}

// The lease is over: nothing is sent, and it goes on when the register answers again.
func TestClientFenced(t *testing.T) {
	s := newStage(t, "t")
	reg := &outage{Register: s.reg}
	c := s.client(func(cfg *Config) { cfg.Register, cfg.Lease, cfg.MaxWait = reg, 300*time.Millisecond, time.Second })
	if err := c.ProduceSync(t.Context(), record("t", 0, 0)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	reg.set(true)
	testkafka.Eventually(t, 10*time.Second, func(context.Context) error {
		if st := c.Status(); st.State != ClientFenced {
			return fmt.Errorf("%+v", st)
		}
		return nil
	})
	c.TryProduce(t.Context(), record("t", 0, 9), func(_ *kgo.Record, err error) {
		if !errors.Is(err, ErrFenced) {
			t.Error(err)
		}
	})
	if err := c.ProduceSync(t.Context(), record("t", 0, 9)).FirstErr(); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
	reg.set(false)
	if err := c.ProduceSync(t.Context(), record("t", 0, 1)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	inOrder(t, logged(t, s.a, "t"), 1, 2)
}

// outage is a register that doesn't answer now and then.
type outage struct {
	register.Register
	mu  sync.Mutex
	out bool
}

func (o *outage) set(out bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.out = out
}

func (o *outage) Get(ctx context.Context, scope string, n int64) (register.Epoch, error) {
	o.mu.Lock()
	out := o.out
	o.mu.Unlock()
	if out {
		return register.Epoch{}, errors.New("an outage")
	}
	return o.Register.Get(ctx, scope, n)
}

// Do ends with the epoch; a transaction too.
func TestClientEpochEnds(t *testing.T) {
	s := newStage(t, "t")
	c := s.client(nil, kgo.TransactionalID("x"))
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	acked := make(chan error, 1)
	c.Produce(t.Context(), record("t", 0, 0), func(_ *kgo.Record, err error) { acked <- err })
	if err := <-acked; err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- c.Do(t.Context(), func(ctx context.Context, _ *kgo.Client) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
	}()
	s.closes(false)
	if err := <-ended; !errors.Is(err, ErrEpochEnded) {
		t.Error(err)
	}
	s.opens("a", false)
	if err := c.EndTransaction(t.Context(), kgo.TryCommit); !errors.Is(err, ErrEpochEnded) {
		t.Error(err)
	}
	if got, err := testkafka.Capture(t.Context(), s.a.Opts(), []string{"t"}, nil); err != nil || got.Len() != 0 {
		t.Error(got.Len(), err)
	}
}

// Another cluster than the one that is meant.
func TestClientWrongCluster(t *testing.T) {
	s := newStage(t)
	clusters := s.clusters()
	clusters[0].ID = "another"
	var wrong *WrongClusterError
	begin(t, Config{Clusters: clusters, Register: s.reg})
	if _, err := NewClient(t.Context(), Config{Clusters: clusters, Register: s.reg}); !errors.As(err, &wrong) || wrong.Got != s.a.ID() {
		t.Error(err)
	}
	var faults *ConfigError
	if _, err := NewClient(t.Context(), Config{Lease: time.Second, Poll: time.Minute, InDoubt: "x"}); !errors.As(err, &faults) || len(faults.Errs) != 4 {
		t.Error(err)
	}
}

// A record is its application's again when its promise was called: what was acked is noted before.
func TestClientRecordReused(t *testing.T) {
	for _, replay := range []*Replay{nil, {}} {
		s := newStage(t, "t")
		c := s.client(func(cfg *Config) { cfg.Replay = replay })
		const n = 500
		done := make(chan error, n)
		want := make(map[topicPartition]int64)
		for i := range n {
			c.Produce(t.Context(), record("t", i, i), func(r *kgo.Record, err error) {
				want[topicPartition{r.Topic, r.Partition}] = r.Offset
				*r = kgo.Record{Topic: "another", Partition: 7, Offset: -9}
				done <- err
			})
		}
		for range n {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		testkafka.Eventually(t, 10*time.Second, func(context.Context) error { // kgo's goroutine comes back from the last promise
			if n := c.BufferedProduceRecords(); n > 0 {
				return fmt.Errorf("%d are buffered", n)
			}
			return nil
		})
		c.mu.Lock()
		if got := c.cur.acked.by; len(got) != len(want) {
			t.Errorf("%d partitions, want %d", len(got), len(want))
		}
		for at, offset := range want {
			if got := c.cur.acked.by[at]; got == nil || *got != offset {
				t.Errorf("%v: %v, want %d", at, got, offset)
			}
		}
		c.mu.Unlock()
	}
}
