package failover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// consumer are the options of a member of group g, whose callback f gets what is taken away from
// it.
func consumer(f func(lost map[string][]int32), opts ...kgo.Opt) []kgo.Opt {
	callback := func(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
		if len(lost) > 0 && f != nil {
			f(lost)
		}
	}
	return append([]kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics(simTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsRevoked(callback), kgo.OnPartitionsLost(callback),
	}, opts...)
}

// polls polls until there are n records.
func (s *sim) polls(c Kafka, n int) (rs []*kgo.Record) {
	s.Helper()
	err := s.within(time.Minute, func(ctx context.Context) error {
		for len(rs) < n && ctx.Err() == nil {
			rs = append(rs, c.PollFetches(ctx).Records()...)
		}
		return ctx.Err()
	})
	if err != nil {
		s.Fatalf("%d records of %d: %v", len(rs), n, err)
	}
	return rs
}

// groupAt is what group g has committed of partition 0, -1 for nothing.
func (s *sim) groupAt(cl testkafka.Cluster) int64 {
	s.Helper()
	os, err := kadm.NewClient(testkafka.Client(s.T, cl)).FetchOffsets(s.Context(), "g")
	o, ok := os.Lookup(simTopic, 0)
	if err != nil || !ok {
		return -1
	}
	return o.At
}

// TestClientCommitsInCallbacks commits what was polled where partitions are revoked, as kgo's
// documentation says, at an orderly end and at a switchover: the group has all of it.
func TestClientCommitsInCallbacks(t *testing.T) {
	for _, how := range []string{"plain kgo", "Close", "CloseAllowingRebalance", "switchover"} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(s *sim) {
				var c Kafka
				errs := make(chan error, 1)
				opts := consumer(func(map[string][]int32) { errs <- c.CommitUncommittedOffsets(context.Background()) }, kgo.DisableAutoCommit())
				if how == "plain kgo" {
					cl, err := kgo.NewClient(append(s.opts("a"), opts...)...)
					if err != nil {
						s.Fatal(err)
					}
					c = cl
				} else {
					c = s.client(nil, opts...)
				}
				for n := range 10 {
					if err := c.ProduceSync(s.Context(), one(fmt.Sprint(n))).FirstErr(); err != nil {
						s.Fatal(err)
					}
				}
				s.polls(c, 10)
				switch how {
				case "switchover":
					s.closes("a", "b", true)
				case "CloseAllowingRebalance":
					c.CloseAllowingRebalance()
				default:
					c.Close()
				}
				if err := <-errs; err != nil {
					s.Error(err)
				}
				if got := s.groupAt(s.a); got != 10 {
					s.Errorf("committed %d, want 10", got)
				}
			})
		})
	}
}

// TestClientCallbackWaitsForWorkers has a worker of its own for a partition, whom the callback
// waits for, as in franz-go's examples. Within the lease the worker's commit is made on the cluster
// that is left. When that is gone it is made in the epoch behind. Either way the client goes on.
func TestClientCallbackWaitsForWorkers(t *testing.T) {
	for _, how := range []string{"killed", "in time"} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(s *sim) {
				work := make(chan struct{})
				var worker sync.WaitGroup
				c := s.client(nil, consumer(func(map[string][]int32) { worker.Wait() }, kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll())...)
				cp := startCopy(s.T, s.a, s.b, 100, func() time.Duration { return 0 })
				s.produce(c, "first")
				rs := s.polls(c, 1)
				pause(s.Context(), 3*time.Second)
				done := make(chan error, 1)
				worker.Go(func() {
					<-work
					done <- c.CommitRecords(context.Background(), rs...)
				})
				c.AllowRebalance()
				if how == "killed" {
					s.a.Kill(s.T, 0)
				}
				s.closes("a", "b", false)
				cl, wait := s.b, 15*time.Second // the lease, and more
				if how == "in time" {
					cl, wait = s.a, 5*time.Second
				}
				pause(s.Context(), wait)
				close(work)
				pause(s.Context(), 15*time.Second-wait)
				cp.end()
				s.opens("b", "a", "b", false)
				s.arrives(c, "b", 3)
				if err := <-done; err != nil {
					s.Error(err)
				}
				if got := s.groupAt(cl); got != 1 {
					s.Errorf("committed %d, want 1", got)
				}
				s.produce(c, "second")
				s.polls(c, 1)
			})
		})
	}
}

// TestClientBlocksRebalances has the application work on what it polled when a switch begins: its
// partitions are its own until it allows rebalances, or the lease is over.
func TestClientBlocksRebalances(t *testing.T) {
	for _, allows := range []bool{true, false} {
		t.Run(fmt.Sprint("allows ", allows), func(t *testing.T) {
			bubble(t, func(s *sim) {
				var lost atomic.Int64
				begun := time.Now()
				c := s.client(nil, consumer(func(map[string][]int32) { lost.Store(int64(time.Since(begun))) }, kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll())...)
				s.produce(c, "first")
				s.polls(c, 1)
				s.closes("a", "b", true)
				pause(s.Context(), 5*time.Second)
				if d := lost.Load(); d != 0 {
					s.Errorf("the partition was revoked after %v, while it was worked on", time.Duration(d))
				}
				if allows {
					c.AllowRebalance()
				}
				pause(s.Context(), 8*time.Second)
				d := time.Duration(lost.Load())
				if d == 0 || allows && time.Since(begun)-d < 7*time.Second {
					s.Errorf("revoked after %v", d)
				}
			})
		})
	}
}

// TestClientMarksInSwitch marks records while no cluster is active: that doesn't wait. What is
// marked is committed on the cluster that becomes active.
func TestClientMarksInSwitch(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil, consumer(nil, kgo.AutoCommitMarks(), kgo.AutoCommitInterval(time.Hour))...)
		cp := startCopy(s.T, s.a, s.b, 100, func() time.Duration { return 0 })
		for n := range 3 {
			s.produce(c, fmt.Sprint(n))
		}
		rs := s.polls(c, 3)
		pause(s.Context(), 3*time.Second)
		s.closes("a", "b", false)
		pause(s.Context(), 11*time.Second)
		begun := time.Now()
		c.MarkCommitRecords(rs...)
		if d := time.Since(begun); d != 0 {
			s.Errorf("MarkCommitRecords took %v", d)
		}
		cp.end()
		s.opens("b", "a", "b", false)
		s.arrives(c, "b", 3)
		if err := c.CommitMarkedOffsets(s.Context()); err != nil {
			s.Error(err)
		}
		if got := s.groupAt(s.b); got != 3 {
			s.Errorf("committed %d, want 3", got)
		}
	})
}

// TestClientCommitsBareOffsets commits records of the application's own making, as trackers of
// offsets do, before and after a switch: those of the active cluster as they are, those from before
// only below the fork.
func TestClientCommitsBareOffsets(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil, consumer(nil, kgo.DisableAutoCommit())...)
		bare := func(r *kgo.Record) *kgo.Record {
			return &kgo.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, LeaderEpoch: r.LeaderEpoch}
		}
		for n := range 10 {
			s.produce(c, fmt.Sprint(n))
		}
		old := s.polls(c, 10)
		if err := c.CommitRecords(s.Context(), bare(old[4])); err != nil {
			s.Error(err)
		}
		if got := s.groupAt(s.a); got != 5 {
			s.Errorf("committed %d, want 5", got)
		}
		cp := startCopy(s.T, s.a, s.b, 8, func() time.Duration { return 0 })
		pause(s.Context(), 10*time.Second)
		s.forced(c, cp) // b has eight of them
		var beyond *OldEpochError
		if err := c.CommitRecords(s.Context(), bare(old[9])); !errors.As(err, &beyond) || len(beyond.Records) != 1 {
			s.Errorf("beyond the fork: %v", err)
		}
		if err := c.CommitRecords(s.Context(), bare(old[6])); err != nil {
			s.Errorf("below the fork: %v", err)
		}
		if got := s.groupAt(s.b); got != 7 {
			s.Errorf("committed %d, want 7", got)
		}
		for n := range 5 {
			s.produce(c, fmt.Sprint("b", n))
		}
		rs := s.polls(c, 6) // the group may have been at 7 already when it was polled
		last := rs[len(rs)-1]
		pause(s.Context(), time.Hour)
		if err := c.CommitRecords(s.Context(), bare(last)); err != nil {
			s.Errorf("polled on b: %v", err)
		}
		if got := s.groupAt(s.b); got != last.Offset+1 {
			s.Errorf("committed %d, want %d", got, last.Offset+1)
		}
		ahead := bare(last)
		ahead.Offset += 100
		if err := c.CommitRecords(s.Context(), ahead); !errors.As(err, &beyond) {
			s.Errorf("ahead of all that was polled: %v", err)
		}
	})
}

// TestClientCause ends a context with a cause of its own while no cluster is active: the error is
// the context's, as kgo's.
func TestClientCause(t *testing.T) {
	bubble(t, func(s *sim) {
		c := s.client(nil)
		s.closes("a", "b", false)
		pause(s.Context(), 11*time.Second)
		ctx, cancel := context.WithCancelCause(s.Context())
		cancel(errors.New("terminated"))
		is(s.T, c.PollFetches(ctx).Err0(), context.Canceled)
		is(s.T, c.Ping(ctx), context.Canceled)
		is(s.T, c.ProduceSync(ctx, one("x")).FirstErr(), context.Canceled)
		is(s.T, c.CommitRecords(ctx, one("x")), context.Canceled)
		is(s.T, c.Flush(ctx), context.Canceled)
	})
}
