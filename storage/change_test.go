package storage_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

func hole(base, end int64) storage.Hole {
	return storage.Hole{Range: storage.Range{BaseOffset: base, EndOffset: end}, Reason: storage.LogStartMoved, Evidence: "seen"}
}

// TestChangesThatDoNotFit are refused before anything is written.
func TestChangesThatDoNotFit(t *testing.T) {
	p, q := partition(1, 0), partition(1, 1)
	for name, c := range map[string]struct {
		bases  []int64 // segments of p from these offsets on, behind [0, 10)
		change func(c *storage.Change)
		ok     bool
	}{
		"next":               {bases: []int64{10}, change: func(c *storage.Change) { c.Partitions[0].EndOffset = 20 }, ok: true},
		"two":                {bases: []int64{20, 10}, change: func(c *storage.Change) { c.Partitions[0].EndOffset = 30 }, ok: true},
		"overlap":            {bases: []int64{9}, change: func(c *storage.Change) { c.Partitions[0].EndOffset = 19 }},
		"doubled":            {bases: []int64{10, 10}, change: func(c *storage.Change) { c.Partitions[0].EndOffset = 20 }},
		"gap":                {bases: []int64{12}, change: func(c *storage.Change) { c.Partitions[0].EndOffset = 22 }},
		"end behind the run": {bases: []int64{10}, change: func(c *storage.Change) { c.Partitions[0].EndOffset = 21 }},
		"end below the run":  {bases: []int64{10}, change: func(c *storage.Change) { c.Partitions[0].EndOffset = 10 }},
		"end inside the run": {bases: []int64{10}, change: func(c *storage.Change) { c.Partitions[0].EndOffset = 15 }, ok: true},
		"explained gap": {bases: []int64{12}, change: func(c *storage.Change) {
			c.Partitions[0].EndOffset, c.Partitions[0].Holes = 22, []storage.Hole{hole(10, 12)}
		}, ok: true},
		"half explained gap": {bases: []int64{12}, change: func(c *storage.Change) {
			c.Partitions[0].EndOffset, c.Partitions[0].Holes = 22, []storage.Hole{hole(11, 12)}
		}},
		"explained end": {change: func(c *storage.Change) {
			c.Partitions[0].EndOffset, c.Partitions[0].Holes = 14, []storage.Hole{hole(10, 12), hole(12, 14)}
		}, ok: true},
		"gap below the log start": {bases: []int64{50}, change: func(c *storage.Change) {
			c.Partitions[0].StartOffset, c.Partitions[0].EndOffset = 50, 60
		}, ok: true},
		"log start inside a batch": {bases: []int64{10}, change: func(c *storage.Change) {
			c.Partitions[0].StartOffset, c.Partitions[0].EndOffset = 14, 20
		}, ok: true},
		"holes overlap": {change: func(c *storage.Change) {
			c.Partitions[0].EndOffset, c.Partitions[0].Holes = 14, []storage.Hole{hole(10, 12), hole(11, 14)}
		}},
		"end goes back":        {change: func(c *storage.Change) { c.Partitions[0].EndOffset = 9 }},
		"unnamed partition":    {bases: []int64{10}, change: func(c *storage.Change) { c.Partitions[0] = upTo(q, 0) }},
		"unknown topic":        {change: func(c *storage.Change) { c.Partitions[0] = upTo(partition(9, 0), 0) }},
		"twice":                {change: func(c *storage.Change) { c.Partitions = append(c.Partitions, c.Partitions[0]) }},
		"history skipped":      {change: func(c *storage.Change) { c.Partitions[0].History = 2 }},
		"new history":          {bases: []int64{0}, change: func(c *storage.Change) { c.Partitions[0].History = 1 }, ok: true},
		"no time":              {change: func(c *storage.Change) { c.CreatedAt = time.Time{} }},
		"flush with groups":    {change: func(c *storage.Change) { c.Groups = []storage.Group{} }},
		"topic without a name": {change: func(c *storage.Change) { c.Topics = []storage.Topic{{ID: topicID(3)}} }},
		"foreign segment": {change: func(c *storage.Change) {
			c.Segments = []*storage.Closed{{Object: storage.Object{Key: "l/aa/seg/000000000001-00000001"}, Runs: make([]segment.RunInfo, 1)}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inner := memblob.OpenBucket(nil)
			defer func() { _ = inner.Close() }()
			b, faults := faultbucket.New(inner)
			w := newWriter(t, open(t, b), "owner")
			first := storage.Change{
				CreatedAt: cutAt, Segments: []*storage.Closed{write(t, w, 0, p)}, Topics: []storage.Topic{topic(1)}, Partitions: []storage.PartitionState{upTo(p, 10)},
			}
			if _, err := w.Commit(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			change := storage.Change{CreatedAt: cutAt, Flush: true, Partitions: []storage.PartitionState{upTo(p, 10)}}
			for _, base := range slices.Clone(c.bases) {
				change.Segments = append(change.Segments, write(t, w, base, p))
			}
			c.change(&change)
			faults.Reset(nil)
			_, err := w.Commit(t.Context(), change)
			if c.ok {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var ce *storage.ChangeError
			if !errors.As(err, &ce) {
				t.Fatalf("%v", err)
			}
			for _, op := range faults.Ops() {
				if op.Kind == faultbucket.Put {
					t.Fatalf("%v was written", op)
				}
			}
			first.Segments, first.Flush = nil, true
			if _, err := w.Commit(t.Context(), first); err != nil {
				t.Fatalf("the writer is of no more use: %v", err)
			}
		})
	}
}

// TestStartOffsetMoves drops runs below the log start from the snapshot; older snapshots keep them,
// and so does a sweep.
func TestStartOffsetMoves(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	a := open(t, b)
	w, p, q := newWriter(t, a, "owner"), partition(1, 0), partition(1, 1)
	c := storage.Change{CreatedAt: cutAt, Topics: []storage.Topic{topic(1)}, Partitions: []storage.PartitionState{upTo(p, 50), upTo(q, 10)}}
	c.Segments = append(c.Segments, write(t, w, 0, p, q))
	for base := int64(10); base < 50; base += 10 {
		c.Segments = append(c.Segments, write(t, w, base, p))
	}
	before, err := w.Commit(t.Context(), c)
	noError(t, err)
	moved := upTo(p, 50)
	moved.StartOffset = 35
	info, err := w.Commit(t.Context(), storage.Change{CreatedAt: cutAt, Partitions: []storage.PartitionState{moved}})
	noError(t, err)
	if info.Records != 30 || before.Records != 60 {
		t.Fatalf("%d records, then %d", before.Records, info.Records)
	}
	s := w.Snapshot()
	var runs, objects int
	for range s.Runs(t.Context(), p, 0, 0) {
		runs++
	}
	for range s.Objects(t.Context()) {
		objects++
	}
	if runs != 2 || objects != 3 { // those of 30 and 40, and the first one for q
		t.Fatalf("%d runs, %d objects", runs, objects)
	}
	moved.StartOffset = 50
	_, err = w.Commit(t.Context(), storage.Change{CreatedAt: cutAt, Partitions: []storage.PartitionState{moved}})
	noError(t, err)
	if res, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{}); err != nil || res.Objects != 0 {
		t.Fatal(res, err)
	}
	old, err := a.Snapshot(t.Context(), before.ID)
	noError(t, err)
	if n := len(readAll(t, old, p)); n != 50 {
		t.Fatalf("%d records are left of the old snapshot", n)
	}
	w = newWriter(t, a, "owner")
	moved.EndOffset = 60
	info, err = w.Commit(t.Context(), storage.Change{CreatedAt: cutAt, Partitions: []storage.PartitionState{moved}, Segments: []*storage.Closed{write(t, w, 50, p)}})
	noError(t, err)
	if info.Records != 20 {
		t.Fatal(info)
	}
}

// TestCounts follows topics that are deleted and come back, and histories that end.
func TestCounts(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	w, p, q := newWriter(t, open(t, b), "owner"), partition(1, 0), partition(2, 0)
	commit := func(c storage.Change) storage.Info {
		t.Helper()
		c.CreatedAt = cutAt
		info, err := w.Commit(t.Context(), c)
		noError(t, err)
		return info
	}
	want := func(got storage.Info, topics, partitions int, records int64) {
		t.Helper()
		if got.Topics != topics || got.Partitions != partitions || got.Records != records {
			t.Fatalf("%+v, want %d topics, %d partitions, %d records", got, topics, partitions, records)
		}
	}
	want(commit(storage.Change{
		Topics: []storage.Topic{topic(1), topic(2)}, Segments: []*storage.Closed{write(t, w, 0, p, q)}, Partitions: []storage.PartitionState{upTo(p, 10), upTo(q, 10)},
	}), 2, 2, 20)
	gone := topic(2)
	gone.Deleted = cutAt
	want(commit(storage.Change{Topics: []storage.Topic{gone}}), 1, 1, 10)
	want(commit(storage.Change{Segments: []*storage.Closed{write(t, w, 10, q)}, Partitions: []storage.PartitionState{upTo(q, 20)}}), 1, 1, 10)
	want(commit(storage.Change{Topics: []storage.Topic{topic(2)}}), 2, 2, 30)
	fork := upTo(q, 10)
	fork.History = 1
	want(commit(storage.Change{Segments: []*storage.Closed{write(t, w, 0, q)}, Partitions: []storage.PartitionState{fork}}), 2, 2, 20)
	want(commit(storage.Change{Topics: []storage.Topic{gone}}), 1, 1, 10)
	want(commit(storage.Change{Groups: []storage.Group{}}), 1, 1, 10)
}

// TestCommitAgain: a commit whose answer was lost, store gone, is found by the next one, which adds
// to it.
func TestCommitAgain(t *testing.T) {
	for _, fault := range []faultbucket.Fault{faultbucket.Before, faultbucket.After} {
		inner := memblob.OpenBucket(nil)
		b, faults := faultbucket.New(inner)
		a, err := storage.Open(t.Context(), b, storage.Config{Retries: -1})
		noError(t, err)
		w, p := newWriter(t, a, "owner"), partition(1, 0)
		c := storage.Change{CreatedAt: cutAt, Topics: []storage.Topic{topic(1)}, Segments: []*storage.Closed{write(t, w, 0, p)}, Partitions: []storage.PartitionState{upTo(p, 10)}}
		faults.Set(faultbucket.From(faults.Count()+1, fault))
		if _, err := w.Commit(t.Context(), c); err == nil {
			t.Fatal("no error")
		}
		faults.Reset(nil)
		c.Segments = append(c.Segments, write(t, w, 10, p))
		c.Partitions[0].EndOffset = 20
		info, err := w.Commit(t.Context(), c)
		if err != nil || info.Records != 20 {
			t.Fatalf("fault %d: %+v, %v", fault, info, err)
		}
		if n := len(readAll(t, w.Snapshot(), p)); n != 20 {
			t.Fatal(n)
		}
		_ = inner.Close()
	}
}
