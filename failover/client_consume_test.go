package failover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// reader is an application that consumes and commits.
type reader struct {
	mu     sync.Mutex
	seen   map[string]int
	old    int // records whose commits were refused
	polled int
}

// run polls until ctx ends. A fetch that says that a client is closed fails the test: the
// application's isn't.
func (r *reader) run(ctx context.Context, t *testing.T, c *Client, commit func(context.Context, []*kgo.Record) error) {
	for ctx.Err() == nil {
		fs := c.PollRecords(ctx, 10)
		if ctx.Err() != nil {
			return
		}
		fs.EachError(func(topic string, p int32, err error) {
			if errors.Is(err, kgo.ErrClientClosed) || errors.Is(err, context.Canceled) || errors.Is(err, ErrEpochEnded) {
				t.Errorf("poll: %s/%d: %v", topic, p, err)
			}
		})
		r.mu.Lock()
		fs.EachRecord(func(rec *kgo.Record) {
			r.seen[string(rec.Value)]++
			r.polled++
		})
		r.mu.Unlock()
		pause(ctx, 50*time.Millisecond)
		var old *OldEpochError
		if err := commit(ctx, fs.Records()); errors.As(err, &old) {
			r.mu.Lock()
			r.old += len(old.Records)
			r.mu.Unlock()
		}
		c.AllowRebalance()
	}
}

// TestClientConsumesSchedules has a group read through a switch, while the primary fails in some
// way: all that is on the new cluster is seen, and none of its records is committed before it was
// seen.
func TestClientConsumesSchedules(t *testing.T) {
	for _, seed := range simRuns(t, 15, 300) {
		inBubble(t, seed, func(s *sim) {
			opts := []kgo.Opt{kgo.ConsumerGroup("g"), kgo.ConsumeTopics(simTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
			marks := s.IntN(3)
			switch marks {
			case 0:
				opts = append(opts, kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll())
			case 1:
				opts = append(opts, kgo.AutoCommitMarks())
			}
			c := s.client(func(cfg *Config) { cfg.Replay = &Replay{} }, opts...)
			commit := func(ctx context.Context, rs []*kgo.Record) error {
				switch marks {
				case 0:
					return c.CommitRecords(ctx, rs...)
				case 1:
					c.MarkCommitRecords(rs...)
				}
				return nil
			}
			r := &reader{seen: map[string]int{}}
			ctx, cancel := context.WithCancel(s.Context())
			defer cancel()
			done := make(chan struct{})
			go func() { defer close(done); r.run(ctx, s.T, c, commit) }()
			cp := startCopy(s.T, s.a, s.b, s.IntN(150), s.pace())
			l := newLoad(c, 4)
			s.load(s.Context(), l, 100)
			pause(s.Context(), s.upTo(10*time.Second))
			s.faults(cp)
			pause(s.Context(), s.upTo(5*time.Second))
			s.forced(c, cp)
			l.wg.Wait()
			s.sees(r, l)
			pause(s.Context(), 10*time.Second)
			s.committed(r)
			cancel()
			<-done
			c.Close()
			l.check(s.T, s.b)
		})
	}
}

// sees waits until a reader has seen all that was acked.
func (s *sim) sees(r *reader, l *load) {
	s.Helper()
	missing := func() (missing []string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		for v := range l.acked {
			if r.seen[v] == 0 {
				missing = append(missing, v)
			}
		}
		return missing
	}
	for begun := time.Now(); len(missing()) > 0; pause(s.Context(), 100*time.Millisecond) {
		if time.Since(begun) > 2*time.Minute {
			s.Fatalf("not seen: %v", missing())
		}
	}
}

// committed fails where the group is past a record that nobody has seen.
func (s *sim) committed(r *reader) {
	s.Helper()
	c, err := kgo.NewClient(s.b.Opts()...)
	if err != nil {
		s.Fatal(err)
	}
	defer c.Close()
	at, err := kadm.NewClient(c).FetchOffsets(s.Context(), "g")
	if err != nil {
		s.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range simRead(s.T, s.b) {
		for _, rec := range rs {
			if o, ok := at.Lookup(simTopic, rec.Partition); ok && rec.Offset < o.At && r.seen[string(rec.Value)] == 0 {
				s.Errorf("%d at %d is committed, and wasn't seen", rec.Partition, rec.Offset)
			}
		}
	}
}

// TestClientCommitsAhead holds that records from before a switch don't take back what was committed
// since.
func TestClientCommitsAhead(t *testing.T) {
	bubble(t, func(s *sim) {
		t := s.T
		c := s.client(nil, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics(simTopic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		cp := startCopy(t, s.a, s.b, 10, s.pace())
		for n := range 10 {
			if err := c.ProduceSync(t.Context(), one(fmt.Sprint(n))).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		var polled []*kgo.Record
		for len(polled) < 10 {
			polled = append(polled, c.PollFetches(t.Context()).Records()...)
		}
		pause(t.Context(), 10*time.Second)
		s.forced(c, cp)
		adm := kadm.NewClient(testkafka.Client(t, s.b))
		at := func() int64 {
			os, err := adm.FetchOffsets(t.Context(), "g")
			if err != nil {
				t.Fatal(err)
			}
			o, _ := os.Lookup(simTopic, 0)
			return o.At
		}
		for _, step := range []struct {
			rs   []*kgo.Record
			want int64
		}{{polled[:8], 8}, {polled[:3], 8}, {polled, 10}} {
			if err := c.CommitRecords(t.Context(), step.rs...); err != nil {
				t.Fatal(err)
			}
			if got := at(); got != step.want {
				t.Errorf("committed %d, want %d", got, step.want)
			}
		}
	})
}

// TestClientMarksAhead holds the same of what is marked, where another member has the partition.
func TestClientMarksAhead(t *testing.T) {
	bubble(t, func(s *sim) {
		t := s.T
		opts := []kgo.Opt{kgo.ConsumerGroup("g"), kgo.ConsumeTopics(simTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
		c := s.client(nil, append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.AutoCommitMarks(), kgo.AutoCommitInterval(time.Hour))...)
		cp := startCopy(t, s.a, s.b, 20, s.pace())
		for n := range 20 {
			r := one(fmt.Sprint(n))
			r.Partition = int32(n % 2)
			if err := c.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		var polled []*kgo.Record
		for len(polled) < 20 {
			polled = append(polled, c.PollFetches(t.Context()).Records()...)
		}
		pause(t.Context(), 10*time.Second)
		s.forced(c, cp)
		other := testkafka.Client(t, s.b, append(opts, kgo.DisableAutoCommit())...)
		pause(t.Context(), 30*time.Second)
		rs := other.PollFetches(t.Context()).Records()
		if err := other.CommitRecords(t.Context(), rs...); err != nil || len(rs) == 0 {
			t.Fatal(err, len(rs))
		}
		theirs := rs[len(rs)-1]
		for _, r := range polled {
			if r.Partition == theirs.Partition && r.Offset < 3 || r.Partition != theirs.Partition && r.Offset < 5 {
				c.MarkCommitRecords(r)
			}
		}
		if err := c.CommitMarkedOffsets(t.Context()); err != nil {
			t.Fatal(err)
		}
		os, err := kadm.NewClient(testkafka.Client(t, s.b)).FetchOffsets(t.Context(), "g")
		if err != nil {
			t.Fatal(err)
		}
		for p := range int32(2) {
			want := int64(5)
			if p == theirs.Partition {
				want = theirs.Offset + 1
			}
			if o, _ := os.Lookup(simTopic, p); o.At != want {
				t.Errorf("partition %d: committed %d, want %d", p, o.At, want)
			}
		}
	})
}

// TestClientCommitsThroughSwitch has the next switch come while the active cluster is asked how far
// the group is. It takes real time: a commit waits at a mutex of kgo's for the group to be joined.
func TestClientCommitsThroughSwitch(t *testing.T) {
	s := newSim(t, 1)
	c := s.client(func(cfg *Config) { cfg.Lease = time.Second }, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics(simTopic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	cp := startCopy(t, s.a, s.b, 1, func() time.Duration { return 0 })
	if err := c.ProduceSync(t.Context(), one("x")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	var polled []*kgo.Record
	for len(polled) < 1 {
		polled = append(polled, c.PollFetches(t.Context()).Records()...)
	}
	s.forced(c, cp)
	s.b.Pause(t, 0)
	errs := make(chan error, 1)
	go func() { errs <- c.CommitRecords(t.Context(), polled...) }()
	pause(t.Context(), 100*time.Millisecond)
	s.closes("b", "a", false)
	pause(t.Context(), 1100*time.Millisecond)
	s.opens("a", "b", "a", false)
	if err := <-errs; err != nil {
		t.Error(err)
	}
}
