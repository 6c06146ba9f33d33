package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

type attributes func(context.Context, string) (*blob.Attributes, error)

// entryBytes is the size of the log entry that was written last.
func entryBytes(t *testing.T, faults *faultbucket.Faults, stat attributes) (size int64) {
	t.Helper()
	for _, op := range faults.Ops() {
		if op.Kind == faultbucket.Put && strings.Contains(op.Key, "/log/") {
			attrs, err := stat(t.Context(), op.Key)
			if err != nil {
				t.Fatal(err)
			}
			size = attrs.Size
		}
	}
	return size
}

// scenario brings two partitions to 30 records in three commits, from wherever the archive stands:
// it is what a job does, and does again after a crash.
func scenario(t *testing.T, b *blob.Bucket, retries int) error {
	a, err := storage.Open(t.Context(), b, storage.Config{Retries: retries})
	if err != nil {
		return err
	}
	w, err := a.NewWriter(t.Context(), lineage, storage.WriterConfig{Owner: "owner"})
	if err != nil {
		return err
	}
	ps := []segment.Partition{partition(1, 0), partition(1, 1)}
	for {
		var base int64
		change := storage.Change{CreatedAt: cutAt, Topics: []storage.Topic{topic(1)}}
		if s := w.Snapshot(); s != nil {
			for st, err := range s.Partitions(t.Context(), topicID(1)) {
				if err != nil {
					return err
				}
				base = st.EndOffset
			}
		}
		if base == 30 {
			_, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{})
			return err
		}
		c, err := tryWrite(t, t.Context(), w, base, ps...)
		if err != nil {
			return err
		}
		change.Segments = []*storage.Closed{c}
		for _, p := range ps {
			change.Partitions = append(change.Partitions, upTo(p, base+10))
		}
		if _, err := w.Commit(t.Context(), change); err != nil {
			return err
		}
	}
}

// check reads what a reader sees: nothing, or whole commits; it returns the end offset.
func check(t *testing.T, b *blob.Bucket) int64 {
	t.Helper()
	a, err := storage.Open(t.Context(), b, storage.Config{ReadOnly: true, Retries: -1})
	if errors.Is(err, storage.ErrNoArchive) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Latest(t.Context(), &lineage)
	if errors.Is(err, storage.ErrNoSnapshot) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckObjects(t.Context()); err != nil {
		t.Fatal(err)
	}
	if problems, err := a.VerifyChain(t.Context(), lineage); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	first, second := readAll(t, s, partition(1, 0)), readAll(t, s, partition(1, 1))
	if len(first) != len(second) || len(first)%10 != 0 || s.Info().Records != int64(2*len(first)) {
		t.Fatalf("half of a commit is visible: %d and %d records, %+v", len(first), len(second), s.Info())
	}
	for i, v := range first {
		if want := fmt.Sprintf("%d=%v/%d", i, partition(1, 0), i); v != want {
			t.Fatalf("record %d is %s", i, v)
		}
	}
	return int64(len(first))
}

// TestCrashLoop cuts the scenario off from its store at every operation in turn: before its effect,
// and after. Whatever is visible then is whole, and the rerun ends where a fault-free run does,
// with nothing left over.
func TestCrashLoop(t *testing.T) {
	for _, fault := range []faultbucket.Fault{faultbucket.Before, faultbucket.After, faultbucket.Cut, faultbucket.Short, faultbucket.Full} {
		for n, done := 1, false; !done; n++ {
			inner := memblob.OpenBucket(nil)
			b, faults := faultbucket.New(inner)
			faults.Set(faultbucket.From(n, fault))
			err := scenario(t, b, -1)
			if faults.Count() < n {
				if err != nil {
					t.Fatal(err)
				}
				done = true
			}
			check(t, inner)
			faults.Reset(nil)
			if err := scenario(t, b, -1); err != nil {
				t.Fatalf("fault %d at operation %d: rerun: %v", fault, n, err)
			}
			finished(t, inner)
			_ = inner.Close()
		}
	}
}

// TestTransientFaults lets one operation go wrong: the archive tries again, and nobody notices.
func TestTransientFaults(t *testing.T) {
	for _, fault := range []faultbucket.Fault{faultbucket.Before, faultbucket.After, faultbucket.Cut, faultbucket.Short, faultbucket.Full} {
		for n, done := 1, false; !done; n++ {
			synctest.Test(t, func(t *testing.T) {
				inner := memblob.OpenBucket(nil)
				defer func() { _ = inner.Close() }()
				b, faults := faultbucket.New(inner)
				faults.Set(faultbucket.At(n, fault))
				err := scenario(t, b, 3)
				done = faults.Count() < n
				if err != nil && (done || !strings.Contains(faults.Ops()[n-1].Key, "/seg/")) {
					t.Fatalf("fault %d at %v: %v", fault, faults.Ops()[n-1], err)
				}
				if err != nil { // a segment's upload isn't tried again
					check(t, inner)
					if err := scenario(t, b, 3); err != nil {
						t.Fatal(err)
					}
				}
				finished(t, inner)
			})
		}
	}
}

// TestDroppedWrites: a store that says success and drops what it was given is found out.
func TestDroppedWrites(t *testing.T) {
	for n, done := 1, false; !done; n++ {
		inner := memblob.OpenBucket(nil)
		b, faults := faultbucket.New(inner)
		faults.Set(faultbucket.At(n, faultbucket.Drop))
		err := scenario(t, b, -1)
		done = faults.Count() < n
		end := check(t, inner)
		if err == nil && end != 30 {
			t.Fatalf("operation %d of %v: success, and the end is %d", n, faults.Ops()[n-1], end)
		}
		_ = inner.Close()
	}
}

// finished checks that the archive holds what a fault-free run makes, and nothing that isn't named.
func finished(t *testing.T, b *blob.Bucket) {
	t.Helper()
	if end := check(t, b); end != 30 {
		t.Fatalf("the end offset is %d", end)
	}
	a := open(t, b)
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var named, stored []string
	for o, err := range s.Objects(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		named = append(named, o.Key)
	}
	for it := b.List(&blob.ListOptions{}); ; {
		o, err := it.Next(t.Context())
		if err != nil {
			break
		}
		if strings.Contains(o.Key, "/seg/") {
			stored = append(stored, o.Key)
		} else if o.Key != "archive" && !strings.Contains(o.Key, "/log/") && !strings.Contains(o.Key, "/end/") {
			t.Fatalf("left over: %s", o.Key)
		}
	}
	if !slices.Equal(named, stored) {
		t.Fatalf("stored: %q, named: %q", stored, named)
	}
}
