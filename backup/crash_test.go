package backup_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/storage"
)

// load is what the crash loops back up: plain and transactional batches, and a
// transaction that stays open.
func loaded(t testing.TB) *kfake.Cluster {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(3, "orders"), kfake.SeedTopics(1, "payments"))
	for p := range int32(3) {
		produce(t, c, "orders", p, 0, 40, 3)
	}
	for i := range 5 {
		transact(t, c, "a", "payments", i*10, 3, kgo.TransactionEndTry(i%2 == 0))
	}
	return c
}

var ends = map[string][]int64{"orders": {40, 40, 40}, "payments": {20}}

// content is all that a snapshot of loaded restores to.
func content(t testing.TB, s *storage.Snapshot) map[string][]rec {
	all := map[string][]rec{}
	for topic, partitions := range ends {
		for p := range partitions {
			all[fmt.Sprint(topic, "/", p)] = archived(t, s, topic, int32(p))
		}
	}
	return all
}

func expected(t testing.TB, c *kfake.Cluster) map[string][]rec {
	all := map[string][]rec{}
	for topic, partitions := range ends {
		for p, end := range partitions {
			all[fmt.Sprint(topic, "/", p)] = sourceRecords(t, source(c), topic, int32(p), end)
		}
	}
	return all
}

// instants are the store operations, of n, that are made to fail: all of them, or a seeded 60.
func instants(t *testing.T, n int) []int {
	t.Helper()
	const some, few = 60, 15
	all := rand.New(rand.NewPCG(1, 2)).Perm(n)
	if os.Getenv("KAFKADR_LONG") == "" && n > some {
		all = all[:some]
	}
	all = testpass.Few(t, few, all)
	for i := range all {
		all[i]++
	}
	slices.Sort(all)
	t.Logf("%d operations, %d are made to fail", n, len(all))
	return all
}

func reopen(t testing.TB, b *blob.Bucket) *storage.Archive {
	t.Helper()
	a, err := storage.Open(t.Context(), b, storage.Config{Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestRunCrashLoop cuts a Run off from its store at every operation. What is
// visible then is whole, and the next Run completes it.
func TestRunCrashLoop(t *testing.T) {
	c := loaded(t)
	want := expected(t, c)
	config := func(a *storage.Archive) backup.Config {
		return backup.Impatient(backup.Config{Source: source(c), Archive: a, SegmentBytes: 2000})
	}
	run := func(b *blob.Bucket, f *faultbucket.Faults, rule faultbucket.Rule) error {
		f.Reset(rule)
		a, err := storage.Open(t.Context(), b, storage.Config{Retries: 1})
		if err != nil {
			return err
		}
		_, err = backup.Run(t.Context(), config(a))
		return err
	}
	counted, faults := faultbucket.New(bucket(t))
	defer func() { _ = counted.Close() }()
	if err := run(counted, faults, nil); err != nil {
		t.Fatal(err)
	}
	n := faults.Count()
	if n > 300 {
		t.Errorf("%d operations", n)
	}
	for _, kind := range []faultbucket.Fault{faultbucket.Before, faultbucket.After} {
		for _, i := range instants(t, n) {
			inner := bucket(t)
			b, f := faultbucket.New(inner)
			err := run(b, f, faultbucket.From(i, kind))
			whole := whole(t, inner, want)
			if err == nil && !whole {
				t.Fatalf("operation %d: success without a snapshot", i)
			}
			if err := run(b, f, nil); err != nil {
				t.Fatalf("operation %d: again: %v", i, err)
			}
			a := reopen(t, inner)
			s, err := a.Latest(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, content(t, s)); diff != "" {
				t.Fatalf("operation %d: %s", i, diff)
			}
			verified(t, a, s)
			_ = b.Close()
		}
	}
}

// whole checks that the latest snapshot, if there is one, holds everything.
func whole(t testing.TB, b *blob.Bucket, want map[string][]rec) bool {
	t.Helper()
	a := reopen(t, b)
	s, err := a.Latest(t.Context(), nil)
	if errors.Is(err, storage.ErrNoSnapshot) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, content(t, s)); diff != "" {
		t.Fatalf("half done: %s", diff)
	}
	return true
}

// TestRunHealsOneFault lets single store operations fail under a Run, which
// goes on and succeeds.
func TestRunHealsOneFault(t *testing.T) {
	c := loaded(t)
	want := expected(t, c)
	for _, kind := range []faultbucket.Fault{faultbucket.Before, faultbucket.After} {
		n := 1
		for i := 1; i <= n; i += 7 {
			b, f := faultbucket.New(bucket(t))
			a := reopen(t, b)
			f.Reset(faultbucket.At(i, kind))
			r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a, SegmentBytes: 2000})
			if err != nil {
				t.Fatalf("operation %d: %v", i, err)
			}
			n = f.Count()
			s := open(t, a, r.Snapshot.ID)
			if diff := cmp.Diff(want, content(t, s)); diff != "" {
				t.Fatalf("operation %d: %s", i, diff)
			}
			verified(t, a, s)
			_ = b.Close()
		}
	}
}

// TestFollowerCrashLoop cuts a Follower off from its store at every
// operation, ends it hard, and lets another go on.
func TestFollowerCrashLoop(t *testing.T) {
	c := loaded(t)
	want := expected(t, c)
	session := func(b *blob.Bucket, f *faultbucket.Faults, rule faultbucket.Rule) (completed bool) {
		f.Reset(rule)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		a, err := storage.Open(ctx, b, storage.Config{Retries: 1})
		if err != nil {
			return false
		}
		cfg := quick(c, a)
		cfg.SegmentBytes, cfg.Flush = 2000, 10*time.Millisecond
		fl := follow(t, ctx, cfg)
		for {
			select {
			case <-fl.result:
				fl.result <- nil
				return false
			case <-time.After(time.Millisecond):
			}
			s := fl.Status()
			switch {
			case s.StoreErrors > 1 && rule != nil: // the process dies
				cancel()
				<-fl.result
				fl.result <- nil
				return false
			case s.LagRecords == 0 && s.Snapshot.ID != "" && s.Committed.Complete:
				if err := fl.Stop(ctx); err != nil {
					t.Fatal(err)
				}
				return true
			}
		}
	}
	counted, faults := faultbucket.New(bucket(t))
	defer func() { _ = counted.Close() }()
	if !session(counted, faults, nil) {
		t.Fatal("a follower doesn't come to an end without faults")
	}
	for _, i := range instants(t, faults.Count()) {
		inner := bucket(t)
		b, f := faultbucket.New(inner)
		session(b, f, faultbucket.From(i, faultbucket.After))
		if !session(b, f, nil) {
			t.Fatalf("operation %d: the next one doesn't complete", i)
		}
		a := reopen(t, inner)
		s, err := a.Latest(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, content(t, s)); diff != "" {
			t.Fatalf("operation %d: %s", i, diff)
		}
		verified(t, a, s)
		_ = b.Close()
	}
}
