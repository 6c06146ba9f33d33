package backup_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// following is a Follower that runs, and what its hooks saw.
type following struct {
	*backup.Follower
	t      testing.TB
	result chan error

	mu           sync.Mutex
	flushes      []storage.Info
	snapshots    []storage.Info
	retries      []error
	incarnations []storage.Topic
	truncated    []*backup.TruncatedError
	holes        []storage.Hole
}

func follow(t testing.TB, ctx context.Context, cfg backup.FollowerConfig) *following {
	t.Helper()
	f := &following{t: t, result: make(chan error, 1)}
	note := func(do func()) {
		f.mu.Lock()
		defer f.mu.Unlock()
		do()
	}
	cfg.Hooks = backup.Hooks{
		OnFlush:       func(i storage.Info) { note(func() { f.flushes = append(f.flushes, i) }) },
		OnSnapshot:    func(i storage.Info) { note(func() { f.snapshots = append(f.snapshots, i) }) },
		OnRetry:       func(_ string, err error) { note(func() { f.retries = append(f.retries, err) }) },
		OnIncarnation: func(t storage.Topic) { note(func() { f.incarnations = append(f.incarnations, t) }) },
		OnTruncated:   func(e *backup.TruncatedError) { note(func() { f.truncated = append(f.truncated, e) }) },
		OnHole:        func(_ string, _ int32, h storage.Hole) { note(func() { f.holes = append(f.holes, h) }) },
	}
	var err error
	if f.Follower, err = backup.NewFollower(cfg); err != nil {
		t.Fatal(err)
	}
	go func() { f.result <- f.Run(ctx) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = f.Stop(ctx)
	})
	return f
}

// until polls a condition.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	testkafka.Eventually(t, 20*time.Second, func(context.Context) error {
		if !is() {
			return errors.New("not yet: " + what)
		}
		return nil
	})
}

func (f *following) see(do func() bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return do()
}

// stop stops and returns what is committed.
func (f *following) stop(a *storage.Archive) *storage.Snapshot {
	f.t.Helper()
	if err := f.Stop(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	if err := <-f.result; err != nil {
		f.t.Fatal(err)
	}
	s, err := a.Latest(f.t.Context(), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func quick(c *kfake.Cluster, a *storage.Archive) backup.FollowerConfig { return quickOf(source(c), a) }

func quickOf(source []kgo.Opt, a *storage.Archive) backup.FollowerConfig {
	return backup.FollowerConfig{
		Config: backup.Config{Source: source, Archive: a},
		Flush:  50 * time.Millisecond, Every: 300 * time.Millisecond, Discover: 50 * time.Millisecond,
	}
}

func TestFollow(t *testing.T) {
	c := fake(t, kfake.NumBrokers(3), kfake.SeedTopics(3, "orders"))
	a := archive(t, bucket(t))
	f := follow(t, t.Context(), quick(c, a))
	for round := range 5 {
		for p := range int32(3) {
			produce(t, c, "orders", p, round*20, 20, 3)
		}
	}
	until(t, "no lag", func() bool { s := f.Status(); return s.Records >= 300 && s.LagRecords == 0 })
	s := f.stop(a)
	for p := range int32(3) {
		if diff := cmp.Diff(sourceRecords(t, source(c), "orders", p, 100), archived(t, s, "orders", p)); diff != "" {
			t.Error(diff)
		}
	}
	verified(t, a, s)
}

func TestFollowGrowsAndForgets(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	a := archive(t, bucket(t))
	f := follow(t, t.Context(), quick(c, a))
	adm := admin(t, c)
	produce(t, c, "orders", 0, 0, 10, 3)
	until(t, "first records", func() bool { return f.Status().Records >= 10 })

	if _, err := adm.CreateTopics(t.Context(), 1, 1, nil, "new"); err != nil {
		t.Fatal(err)
	}
	produce(t, c, "new", 0, 0, 5, 3)
	if _, err := adm.UpdatePartitions(t.Context(), 3, "orders"); err != nil {
		t.Fatal(err)
	}
	produce(t, c, "orders", 2, 0, 7, 3)
	until(t, "new topic and partition", func() bool { s := f.Status(); return s.Records >= 22 && s.Partitions == 4 })

	if _, err := adm.DeleteTopics(t.Context(), "new"); err != nil {
		t.Fatal(err)
	}
	until(t, "deleted", func() bool {
		return f.see(func() bool {
			return slices.ContainsFunc(f.incarnations, func(t storage.Topic) bool { return t.Name == "new" && !t.Deleted.IsZero() })
		})
	})
	if _, err := adm.CreateTopics(t.Context(), 1, 1, nil, "new"); err != nil {
		t.Fatal(err)
	}
	produce(t, c, "new", 0, 100, 3, 3)
	until(t, "re-created", func() bool { return f.Status().Records >= 25 })
	s := f.stop(a)
	if got := archived(t, s, "new", 0); len(got) != 3 || got[0].Value != "value-100" {
		t.Error(got)
	}
	var old int
	for topic, err := range s.Topics(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if topic.Name == "new" && !topic.Deleted.IsZero() {
			old++
			for p := range s.Partitions(t.Context(), topic.ID) {
				if got := records(t, s, p); len(got) != 5 {
					t.Error(got)
				}
			}
		}
	}
	if old != 1 {
		t.Errorf("%d old incarnations", old)
	}
	verified(t, a, s)
}

func admin(t testing.TB, c *kfake.Cluster) *kadm.Client {
	t.Helper()
	cl, err := kgo.NewClient(source(c)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

func TestFollowIdleCommitsNothing(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	a := archive(t, bucket(t))
	cfg := quick(c, a)
	cfg.Every = time.Hour
	f := follow(t, t.Context(), cfg)
	until(t, "first snapshot", func() bool { return f.see(func() bool { return len(f.snapshots) == 1 }) })
	flushes, at := len(f.flushes), time.Now()
	until(t, "several flushes could have been", func() bool { return time.Since(at) > 300*time.Millisecond })
	f.stop(a)
	if len(f.flushes) != flushes || len(f.snapshots) != 1 {
		t.Errorf("%d flushes, %d snapshots", len(f.flushes), len(f.snapshots))
	}
}

func TestFollowFlushesInTime(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	a := archive(t, bucket(t))
	cfg := quick(c, a)
	cfg.Flush, cfg.Every = 400*time.Millisecond, time.Hour
	f := follow(t, t.Context(), cfg)
	until(t, "first snapshot", func() bool { return f.see(func() bool { return len(f.snapshots) == 1 }) })
	for i := range 5 {
		produce(t, c, "orders", 0, i, 1, 1)
		at := time.Now()
		until(t, "committed", func() bool { return f.Status().Committed.Records == int64(i+1) })
		if d := time.Since(at); d > cfg.Flush+100*time.Millisecond {
			t.Errorf("record %d took %v", i, d)
		}
	}
}

func TestTwoFollowersOneIsFenced(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	a := archive(t, bucket(t))
	one := follow(t, t.Context(), quick(c, a))
	produce(t, c, "orders", 0, 0, 30, 4)
	until(t, "first", func() bool { return one.Status().Records >= 30 })
	two := follow(t, t.Context(), quick(c, a))
	until(t, "both", func() bool { return two.see(func() bool { return len(two.snapshots) > 0 }) })
	produce(t, c, "orders", 1, 0, 30, 4)
	err := <-one.result
	var fenced *storage.FencedError
	if !errors.Is(err, storage.ErrFenced) || !errors.As(err, &fenced) || fenced.Kind != "follow" {
		t.Errorf("got %v", err)
	}
	until(t, "second", func() bool { s := two.Status(); return s.LagRecords == 0 && s.Committed.Records == 60 })
	s := two.stop(a)
	for p := range int32(2) {
		if diff := cmp.Diff(sourceRecords(t, source(c), "orders", p, 30), archived(t, s, "orders", p)); diff != "" {
			t.Error(diff)
		}
	}
	verified(t, a, s)
}

func TestFollowerOutlivesSweep(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	a := archive(t, bucket(t))
	f := follow(t, t.Context(), quick(c, a))
	produce(t, c, "orders", 0, 0, 30, 4)
	until(t, "first", func() bool { return f.Status().Committed.Records >= 30 })
	until(t, "first snapshot", func() bool { return f.see(func() bool { return len(f.snapshots) > 0 }) })
	id := f.Status().Committed.ClusterID
	for i := range 3 {
		produce(t, c, "orders", 0, 30+i*10, 10, 4)
		if _, err := a.Sweep(t.Context(), storage.Lineage{ClusterID: id}, storage.SweepOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "second", func() bool { return f.Status().Committed.Records == 60 })
	s := f.stop(a)
	if diff := cmp.Diff(sourceRecords(t, source(c), "orders", 0, 60), archived(t, s, "orders", 0)); diff != "" {
		t.Error(diff)
	}
	verified(t, a, s)
}

func TestFollowerWithFullStore(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	b, faults := faultbucket.New(bucket(t))
	t.Cleanup(func() { _ = b.Close() })
	a, err := storage.Open(t.Context(), b, storage.Config{Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t, t.Context(), quick(c, a))
	produce(t, c, "orders", 0, 0, 30, 4)
	until(t, "first", func() bool { return f.Status().Committed.Records >= 30 })
	faults.Set(faultbucket.On(faultbucket.Put, faultbucket.Full))
	produce(t, c, "orders", 0, 30, 30, 4)
	until(t, "lag and errors", func() bool { s := f.Status(); return s.LagRecords == 30 && s.StoreErrors > 2 })
	faults.Set(nil)
	until(t, "caught up", func() bool { return f.Status().Committed.Records == 60 })
	s := f.stop(a)
	if diff := cmp.Diff(sourceRecords(t, source(c), "orders", 0, 60), archived(t, s, "orders", 0)); diff != "" {
		t.Error(diff)
	}
	verified(t, a, s)
}

func TestFollowerCancelledEndsAtOnce(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	b, faults := faultbucket.New(bucket(t))
	t.Cleanup(func() { _ = b.Close() })
	a := archive(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	f := follow(t, ctx, quick(c, a))
	until(t, "first snapshot", func() bool { return f.see(func() bool { return len(f.snapshots) > 0 }) })
	faults.Set(faultbucket.On(faultbucket.Put, faultbucket.Block))
	produce(t, c, "orders", 0, 0, 30, 4)
	until(t, "a blocked put", func() bool { return faults.Blocked() > 0 })
	at := time.Now()
	cancel()
	if err := <-f.result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if d := time.Since(at); d > time.Second {
		t.Errorf("took %v", d)
	}
	faults.Release()
}

func TestFollowerSaysThatATransactionHangs(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	a := archive(t, bucket(t))
	f := follow(t, t.Context(), quick(c, a))
	produce(t, c, "orders", 0, 0, 5, 1)
	hang(t, c, "orders")
	produce(t, c, "orders", 0, 5, 20, 1)
	until(t, "the lag of the last stable offset", func() bool {
		s := f.Status()
		return s.LSOLag == 21 && s.LSOLagPartition == "orders/0" && s.LagRecords == 0 && s.Committed.Records == 5
	})
}

func TestFollowerOvertakenByRetention(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	b, faults := faultbucket.New(bucket(t))
	t.Cleanup(func() { _ = b.Close() })
	a, err := storage.Open(t.Context(), b, storage.Config{Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t, t.Context(), quick(c, a))
	produce(t, c, "orders", 0, 0, 10, 2)
	until(t, "first", func() bool { return f.Status().Committed.Records == 10 })
	faults.Set(faultbucket.On(faultbucket.Put, faultbucket.Full))
	produce(t, c, "orders", 0, 10, 30, 2)
	until(t, "store errors", func() bool { return f.Status().StoreErrors > 1 })
	var os kadm.Offsets
	os.AddOffset("orders", 0, 26, -1)
	if _, err := admin(t, c).DeleteRecords(t.Context(), os); err != nil {
		t.Fatal(err)
	}
	// What was read before that could still be put: not before it is seen that it is gone.
	until(t, "a hole", func() bool { return f.see(func() bool { return len(f.holes) >= 1 }) })
	faults.Set(nil)
	until(t, "the rest", func() bool { return f.Status().LagRecords == 0 })
	s := f.stop(a)
	if h := f.holes[0]; h.BaseOffset != 10 || h.EndOffset != 26 || h.Reason != storage.LogStartMoved {
		t.Errorf("%+v", h)
	}
	if p := stateOf(t, s, "orders", 0); p.EndOffset != 40 || len(p.Holes) != 1 {
		t.Errorf("%+v", p)
	}
	verified(t, a, s)
}

// TestFollowNothing: expressions that match no topic are an error at once, and nothing is written.
func TestFollowNothing(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	for _, topics := range [][]string{{"typo.*", "ordre.+"}, {"nothing"}} {
		a := archive(t, bucket(t))
		f := follow(t, t.Context(), backup.FollowerConfig{Config: backup.Config{Source: source(c), Archive: a, Topics: topics}})
		var unknown *backup.UnknownTopicError
		if err := <-f.result; !errors.As(err, &unknown) || unknown.Topic != strings.Join(topics, " ") {
			t.Errorf("%q: %v", topics, err)
		}
		if ls, err := a.Lineages(t.Context()); err != nil || len(ls) > 0 {
			t.Errorf("%q: %v was written, %v", topics, ls, err)
		}
	}
}

// TestFollowWaitsForCut: a partition whose leader is away when a full snapshot's cut is taken
// belongs to the cut all the same.
func TestFollowWaitsForCut(t *testing.T) {
	c := fake(t, kfake.NumBrokers(2), kfake.SeedTopics(2, "orders"))
	for p := range int32(2) {
		if err := c.MoveTopicPartition("orders", p, p); err != nil {
			t.Fatal(err)
		}
		produce(t, c, "orders", p, 0, 20, 3)
	}
	var back atomic.Bool
	var asked atomic.Int32
	c.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if c.CurrentNode() == 0 || back.Load() {
			return nil, nil, false
		}
		asked.Add(1)
		return nil, errors.New("away"), true
	})
	a := archive(t, bucket(t))
	cfg := quick(c, a)
	cfg.Every = time.Minute
	f := follow(t, t.Context(), cfg)
	first := func() bool { return f.see(func() bool { return len(f.snapshots) > 0 }) }
	until(t, "a first snapshot, or looks for it in vain", func() bool { return first() || asked.Load() > 20 && f.Status().Records >= 20 })
	back.Store(true)
	until(t, "a first snapshot", first)
	s, err := a.Snapshot(t.Context(), f.snapshots[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(archived(t, s, "orders", 1)); got != 20 || !s.Info().Complete {
		t.Errorf("%d records of 20, complete %v", got, s.Info().Complete)
	}
	f.stop(a)
}
