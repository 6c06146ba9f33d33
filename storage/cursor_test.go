package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// many is an archive of one partition in several segments with small frames, some neighbours.
func many(t testing.TB, a *storage.Archive, p segment.Partition, segments int) *storage.Snapshot {
	t.Helper()
	w, err := a.NewWriter(t.Context(), lineage, storage.WriterConfig{Owner: "o", Segment: segment.Options{FrameBytes: 200}})
	if err != nil {
		t.Fatal(err)
	}
	change := storage.Change{CreatedAt: cutAt, Topics: []storage.Topic{topic(1)}}
	var end int64
	for range segments {
		s, err := w.NewSegment(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := s.Append(p, makeBatch(t, end, "a", "b", "c")); err != nil {
				t.Fatal(err)
			}
			end += 3
		}
		c, err := s.Close()
		if err != nil {
			t.Fatal(err)
		}
		change.Segments = append(change.Segments, c)
	}
	change.Partitions = []storage.PartitionState{upTo(p, end)}
	if _, err := w.Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	return w.Snapshot()
}

// TestCursorRanges reads every range of a partition with every depth of reading ahead.
func TestCursorRanges(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	p := partition(1, 0)
	s := many(t, open(t, b), p, 3)
	for _, depth := range []int{-1, 0, 5} {
		for from := int64(0); from <= 181; from += 7 {
			for end := from; end <= 190; end += 11 {
				c := s.Cursor(t.Context(), p, 0, from, end, storage.CursorOptions{ReadAhead: depth})
				var got []int64
				for {
					b, aborted, err := c.Next()
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil || aborted {
						t.Fatal(aborted, err)
					}
					got = append(got, b.BaseOffset())
				}
				c.Close()
				var want []int64
				for base := from - from%3; base < min(end, 180); base += 3 {
					want = append(want, base)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%d to %d: %v, want %v", from, end, got, want)
				}
			}
		}
	}
}

// TestCursorReadsNeighboursTogether counts the reads.
func TestCursorReadsNeighboursTogether(t *testing.T) {
	inner := memblob.OpenBucket(nil)
	defer func() { _ = inner.Close() }()
	b, faults := faultbucket.New(inner)
	p := partition(1, 0)
	s := many(t, open(t, b), p, 4)
	faults.Reset(nil)
	if n := len(readAll(t, s, p)); n != 240 {
		t.Fatal(n)
	}
	segments := 0
	for _, op := range faults.Ops() {
		if op.Kind == faultbucket.Get && op.Key[len(op.Key)-9] == '-' {
			segments++
		}
	}
	if segments != 8 { // an index and the frames of each
		t.Fatalf("%d reads of 4 segments", segments)
	}
}

// TestCursorEnds: a cursor's goroutine ends with its context or Close, even where the store doesn't
// answer.
func TestCursorEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memblob.OpenBucket(nil)
		defer func() { _ = inner.Close() }()
		b, faults := faultbucket.New(inner)
		p := partition(1, 0)
		s := many(t, open(t, b), p, 4)
		for _, byClose := range []bool{true, false} {
			faults.Reset(faultbucket.On(faultbucket.Get, faultbucket.Block))
			ctx, cancel := context.WithCancel(t.Context())
			c := s.Cursor(ctx, p, 0, 0, 1<<62, storage.CursorOptions{})
			synctest.Wait()
			if faults.Blocked() != 1 {
				t.Fatalf("%d operations are blocked", faults.Blocked())
			}
			if !byClose {
				cancel()
				if _, _, err := c.Next(); !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
			}
			c.Close()
			cancel()
			if _, _, err := c.Next(); err == nil {
				t.Fatal("a closed cursor goes on")
			}
		}
	})
}

// TestStoreThatDoesNotAnswer: operations and uploads end after Config.OperationTimeout.
func TestStoreThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memblob.OpenBucket(nil)
		defer func() { _ = inner.Close() }()
		b, faults := faultbucket.New(inner)
		a, err := storage.Open(t.Context(), b, storage.Config{Retries: 2, OperationTimeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		w := newWriter(t, a, "owner")
		faults.Reset(faultbucket.On(faultbucket.Put, faultbucket.Block))
		start := time.Now()
		if _, err := tryWrite(t, t.Context(), w, 0, partition(1, 0)); err == nil || time.Since(start) > time.Minute {
			t.Fatal(err, time.Since(start))
		}
		faults.Reset(faultbucket.On(faultbucket.Get, faultbucket.Block))
		start = time.Now()
		if _, err := a.Latest(t.Context(), &lineage); err == nil || time.Since(start) > time.Minute {
			t.Fatal(err, time.Since(start))
		}
	})
}

// TestDamagedFrameNamesItsPlace: no batch of the frame is returned, and the error says what can't
// be read.
func TestDamagedFrameNamesItsPlace(t *testing.T) {
	all := small(t)
	p := partition(1, 1)
	s, err := open(t, all.bucket(t)).Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range s.Runs(t.Context(), p, 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		run, err := s.OpenRun(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		all[r.Object][run.Frames[0].Position+70] ^= 1
	}
	if s, err = open(t, all.bucket(t)).Latest(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	c := s.Cursor(t.Context(), p, 0, 0, 1<<62, storage.CursorOptions{})
	defer c.Close()
	_, _, err = c.Next()
	var damage *storage.DamageError
	if !errors.As(err, &damage) || damage.Object == "" || damage.Partition != p || damage.BaseOffset != 0 || damage.EndOffset != 10 {
		t.Fatalf("%v: %+v", err, damage)
	}
	if want := fmt.Sprintf("%v at 0 to 10", p); err.Error()[9:9+len(want)] != want {
		t.Fatal(err)
	}
}

// TestCursorOpensOneFrame: small frames that become large ones are read together, and opened one at
// a time.
func TestCursorOpensOneFrame(t *testing.T) {
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { _ = b.Close() })
	a := open(t, b)
	w, err := a.NewWriter(t.Context(), lineage, storage.WriterConfig{Segment: segment.Options{Zstd: true}})
	noError(t, err)
	s, err := w.NewSegment(t.Context())
	noError(t, err)
	p := partition(1, 0)
	const n, size = 12, 16 << 20
	for i := range int64(n) {
		noError(t, s.Append(p, makeBatch(t, i, strings.Repeat("x", size))))
	}
	closed, err := s.Close()
	noError(t, err)
	_, err = w.Commit(t.Context(), storage.Change{CreatedAt: cutAt, Segments: []*storage.Closed{closed}, Topics: []storage.Topic{topic(1)}, Partitions: []storage.PartitionState{upTo(p, n)}})
	noError(t, err)
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	snap, err := a.Latest(t.Context(), nil)
	noError(t, err)
	before := held()
	c := snap.Cursor(t.Context(), p, 0, 0, n, storage.CursorOptions{ReadAhead: -1})
	defer c.Close()
	for {
		_, _, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		noError(t, err)
		if more := held() - before; more > 3*size {
			t.Fatalf("%d MiB are held; a frame has %d", more>>20, size>>20)
		}
	}
}
