package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage"
)

// meter counts a store's operations, each of which takes 20 ms.
type meter struct {
	mu          sync.Mutex
	count       map[faultbucket.Kind]int
	now, atOnce int
}

const storeLatency = 20 * time.Millisecond

func (m *meter) gate(_ context.Context, op faultbucket.Op) error {
	m.mu.Lock()
	m.count[op.Kind]++
	m.now++
	m.atOnce = max(m.atOnce, m.now)
	m.mu.Unlock()
	<-time.After(storeLatency)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now--
	return nil
}

func (m *meter) total() (n int) {
	for _, k := range m.count {
		n += k
	}
	return n
}

func (m *meter) String() string {
	var s []string
	for _, kind := range []faultbucket.Kind{faultbucket.List, faultbucket.Stat, faultbucket.Get, faultbucket.Put, faultbucket.Delete} {
		if n := m.count[kind]; n > 0 {
			s = append(s, fmt.Sprintf("%d %s", n, strings.ToUpper(string(kind))))
		}
	}
	return strings.Join(s, ", ")
}

// flushes is an archive of one partition's flushes, each sixth a full snapshot.
func flushes(t *testing.T, b *blob.Bucket, n int) {
	w := newWriter(t, open(t, b), "owner")
	p := partition(1, 0)
	for i := range int64(n) {
		c := storage.Change{CreatedAt: cutAt, Flush: i%6 != 0, Segments: []*storage.Closed{write(t, w, 10*i, p)}, Partitions: []storage.PartitionState{upTo(p, 10*i+10)}}
		if i == 0 {
			c.Topics = []storage.Topic{topic(1)}
		}
		if _, err := w.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

// reads are what is done with an archive.
var reads = []struct {
	name string
	row  string
	do   func(t *testing.T, a *storage.Archive, s *storage.Snapshot, n int) error
	// operations bounds those for n flushes, rounds how many of them wait for one another.
	operations, rounds func(n int) int
}{
	{
		"list", "list", func(t *testing.T, a *storage.Archive, _ *storage.Snapshot, n int) error {
			got := 0
			for _, err := range a.Snapshots(t.Context(), lineage) {
				if err != nil {
					return err
				}
				got++
			}
			if got < n/6 {
				return fmt.Errorf("%d snapshots of %d flushes", got, n)
			}
			return nil
		}, func(n int) int { return 20 + n/60 }, func(n int) int { return 25 + n/300 },
	},
	{
		"objects", "objects that a snapshot names", func(t *testing.T, _ *storage.Archive, s *storage.Snapshot, _ int) error {
			return s.CheckObjects(t.Context())
		}, func(n int) int { return 20 + n/20 }, func(n int) int { return 20 + n/100 },
	},
	{
		"plan", "a restore's plan: each run's index", func(t *testing.T, _ *storage.Archive, s *storage.Snapshot, n int) error {
			got := 0
			for r, err := range s.CheckRuns(t.Context(), partition(1, 0), 0, 0, 1<<62) {
				if err = errors.Join(err, r.Err); err != nil {
					return err
				}
				got++
			}
			if got != n {
				return fmt.Errorf("%d runs", got)
			}
			return nil
		}, func(n int) int { return 20 + n + n/4 }, func(n int) int { return 40 + n/20 },
	},
	{
		"read", "reading the partition", func(t *testing.T, _ *storage.Archive, s *storage.Snapshot, n int) error {
			c := s.Cursor(t.Context(), partition(1, 0), 0, 0, 1<<62, storage.CursorOptions{})
			defer c.Close()
			end := int64(0)
			for {
				b, _, err := c.Next()
				if errors.Is(err, io.EOF) && end == 10*int64(n) {
					return nil
				}
				if err != nil || b.BaseOffset() != end {
					return fmt.Errorf("at %d: %d, %w", end, b.BaseOffset(), err)
				}
				end = b.EndOffset()
			}
		}, func(n int) int { return 20 + 2*n + n/4 }, func(n int) int { return 50 + n/10 },
	},
	{
		"chain", "verify: the chain of entries", func(t *testing.T, a *storage.Archive, _ *storage.Snapshot, _ int) error {
			problems, err := a.VerifyChain(t.Context(), lineage)
			if len(problems) > 0 {
				return errors.New(problems[0].Detail)
			}
			return err
		}, func(n int) int { return 20 + n + n/100 }, func(n int) int { return 20 + n/50 },
	},
	{
		"sweep", "sweep, dry", func(t *testing.T, a *storage.Archive, _ *storage.Snapshot, _ int) error {
			r, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{DryRun: true})
			if err == nil && r.Objects > 0 {
				return fmt.Errorf("%d objects of a whole archive", r.Objects)
			}
			return err
		}, func(n int) int { return 30 + n/8 }, func(n int) int { return 40 + n/60 },
	},
}

// TestOperations counts what reading an archive of n flushes asks of a store that takes 20 ms for
// each operation, and how long that takes where only the store takes time.
// KAFKADR_BENCH_ARCHIVE_OUT is a file for the table.
func TestOperations(t *testing.T) {
	n := 600
	if os.Getenv("KAFKADR_LONG") != "" || os.Getenv("KAFKADR_BENCH") != "" {
		n = 10_000
	}
	inner := memblob.OpenBucket(nil)
	defer func() { _ = inner.Close() }()
	flushes(t, inner, n)
	table := fmt.Sprintf("| %d flushes of one partition | operations | in all | at once | time at 20 ms |\n|---|---|---|---|---|\n", n)
	for _, r := range reads {
		synctest.Test(t, func(t *testing.T) {
			m := &meter{}
			b, faults := faultbucket.New(inner)
			a, err := storage.Open(t.Context(), b, storage.Config{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			s, err := a.Latest(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			m.count = map[faultbucket.Kind]int{}
			faults.Gate(m.gate)
			start := time.Now()
			if err := r.do(t, a, s, n); err != nil {
				t.Errorf("%s: %v", r.name, err)
			}
			took := time.Since(start)
			table += fmt.Sprintf("| %s | %s | %d | %d | %.1f s |\n", r.row, m, m.total(), m.atOnce, took.Seconds())
			if most := r.operations(n); m.total() > most {
				t.Errorf("%s: %d operations (%s), want at most %d", r.name, m.total(), m, most)
			}
			if most := r.rounds(n); took > time.Duration(most)*storeLatency {
				t.Errorf("%s: %s for %d operations, want at most %d one after the other", r.name, took, m.total(), most)
			}
			if m.atOnce > 2*64 {
				t.Errorf("%s: %d operations at once", r.name, m.atOnce)
			}
		})
	}
	t.Log("\n" + table)
	if out := os.Getenv("KAFKADR_BENCH_ARCHIVE_OUT"); out != "" {
		if err := os.WriteFile(out, []byte(table), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
