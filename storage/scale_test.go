package storage_test

import (
	"math/rand/v2"
	"testing"

	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// TestTenThousandPartitions: where 10 of 10 000 partitions changed, each commit writes at most 4
// objects and 64 KiB of manifest, and the counts stay right.
func TestTenThousandPartitions(t *testing.T) {
	inner := memblob.OpenBucket(nil)
	defer func() { _ = inner.Close() }()
	b, faults := faultbucket.New(inner)
	w := newWriter(t, open(t, b), "owner")
	const topics, partitions = 100, 100
	ends := map[segment.Partition]int64{}
	all := storage.Change{CreatedAt: cutAt}
	var ps []segment.Partition
	for i := range byte(topics) {
		all.Topics = append(all.Topics, topic(i))
		for j := range int32(partitions) {
			ps = append(ps, partition(i, j))
		}
	}
	info := commitAt(t, w, &all, ends, ps...)
	t.Logf("the first commit's manifest has %d bytes", entryBytes(t, faults, inner.Attributes))
	rnd := rand.New(rand.NewPCG(3, 4))
	records := info.Records
	var largest int64
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	for range rounds {
		changed := map[segment.Partition]bool{}
		for len(changed) < 10 {
			changed[ps[rnd.IntN(len(ps))]] = true
		}
		var some []segment.Partition
		for _, p := range ps {
			if changed[p] {
				some = append(some, p)
			}
		}
		faults.Reset(nil)
		info = commitAt(t, w, &storage.Change{CreatedAt: cutAt}, ends, some...)
		records += 100
		puts := 0
		for _, op := range faults.Ops() {
			if op.Kind == faultbucket.Put {
				puts++
			}
		}
		size := entryBytes(t, faults, inner.Attributes)
		largest = max(largest, size)
		if puts > 4 || size > 64<<10 {
			t.Fatalf("commit %d: %d objects, %d bytes of manifest", info.Sequence, puts, size)
		}
		if info.Topics != topics || info.Partitions != topics*partitions || info.Records != records {
			t.Fatalf("%+v, want %d records", info, records)
		}
	}
	t.Logf("the largest manifest of %d commits with 10 changed partitions has %d bytes", rounds, largest)
	s := w.Snapshot()
	if got := readAll(t, s, ps[5000]); int64(len(got)) != ends[ps[5000]] {
		t.Fatalf("%d records, want %d", len(got), ends[ps[5000]])
	}
}

// commitAt writes ten records to each partition and commits a full snapshot.
func commitAt(t *testing.T, w *storage.Writer, c *storage.Change, ends map[segment.Partition]int64, ps ...segment.Partition) storage.Info {
	t.Helper()
	s, err := w.NewSegment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ps {
		if err := s.Append(p, makeBatch(t, ends[p], "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")); err != nil {
			t.Fatal(err)
		}
		ends[p] += 10
		c.Partitions = append(c.Partitions, upTo(p, ends[p]))
	}
	closed, err := s.Close()
	if err != nil {
		t.Fatal(err)
	}
	c.Segments = []*storage.Closed{closed}
	info, err := w.Commit(t.Context(), *c)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
