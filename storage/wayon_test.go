package storage_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/storage"
)

// TestWayOn: writers refuse a log whose end is damaged, and leave it as it is. With the damaged
// entry and those behind it moved away they go on from the commit before, the loss is told until a
// sweep after the next full snapshot, and then the archive is sound.
func TestWayOn(t *testing.T) {
	for name, c := range map[string]struct {
		damaged int // entry, from 1
		more    func(t *testing.T, b *blob.Bucket)
		lost    int
	}{
		"full snapshot":                {damaged: 5, lost: 1},
		"full snapshot behind a claim": {damaged: 5, lost: 1, more: func(t *testing.T, b *blob.Bucket) { newWriter(t, open(t, b), "claim") }},
		"claim with segments": {damaged: 6, more: func(t *testing.T, b *blob.Bucket) {
			w := newWriter(t, open(t, b), "died")
			for range 3 {
				write(t, w, 30, partition(1, 0))
			}
		}},
		"flush": {damaged: 7, more: func(t *testing.T, b *blob.Bucket) {
			if err := job(t, b, "flush"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := small(t).bucket(t)
			if c.more != nil {
				c.more(t, b)
			}
			all := copyOf(t, b)
			keys := all.logKeys()
			all.flip(keys[c.damaged-1], 12)
			b = all.bucket(t)
			wantRefused(t, b, keys[c.damaged-1])
			if got := copyOf(t, b); !slices.Equal(got.keys(), all.keys()) {
				t.Errorf("refused writers left something: %v", got.keys())
			}
			for _, key := range keys[c.damaged-1:] {
				delete(all, key)
			}
			wantWayOn(t, all.bucket(t), c.lost)
		})
	}
}

func wantRefused(t *testing.T, b *blob.Bucket, object string) {
	t.Helper()
	a := open(t, b)
	var damage *storage.DamageError
	_, err := a.NewWriter(t.Context(), lineage, storage.WriterConfig{})
	if !errors.As(err, &damage) || damage.Object != object || !strings.Contains(err.Error(), "out of the archive") {
		t.Errorf("writer: %v", err)
	}
	if _, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{}); !errors.As(err, &damage) || damage.Object != object {
		t.Errorf("sweep: %v", err)
	}
}

func wantWayOn(t *testing.T, b *blob.Bucket, lost int) {
	t.Helper()
	a := open(t, b)
	w := newWriter(t, a, "next")
	p, q := partition(1, 0), partition(1, 1)
	var base int64
	for st, err := range w.Snapshot().Partitions(t.Context(), topicID(1)) {
		if base = st.EndOffset; err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(t.Context(), storage.Change{
		CreatedAt: cutAt, Segments: []*storage.Closed{write(t, w, base, p, q)}, Partitions: []storage.PartitionState{upTo(p, base+10), upTo(q, base+10)},
	}); err != nil {
		t.Fatal(err)
	}
	problems, err := a.VerifyChain(t.Context(), lineage)
	if err != nil || len(problems) != lost || lost > 0 && problems[0].Kind != "lost" {
		t.Errorf("before the sweep: %v, %v", problems, err)
	}
	if _, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := inspect(t, copyOf(t, b)); err != nil {
		t.Errorf("after the sweep: %v", err)
	}
	if _, err := list(t, a); err != nil {
		t.Error(err)
	}
}

// TestLostUntilOvertaken: sweeps alone don't end the report of a lost snapshot.
func TestLostUntilOvertaken(t *testing.T) {
	all := small(t)
	last := all.logKeys()[4]
	delete(all, last)
	b := all.bucket(t)
	for range 2 {
		if err := sweep(t, b, "sweep"); err != nil {
			t.Fatal(err)
		}
		problems, err := open(t, b).VerifyChain(t.Context(), lineage)
		if err != nil || len(problems) != 1 || problems[0].Kind != "lost" || problems[0].Object != last {
			t.Fatal(problems, err)
		}
	}
	wantWayOn(t, b, 1)
}

// TestVerifyWhileWritten: what is claimed and committed while a log is read isn't taken for lost.
func TestVerifyWhileWritten(t *testing.T) {
	b := small(t).bucket(t)
	p := partition(1, 0)
	var once sync.Once
	commit := func(op, key string, _ int64, _ error) {
		if op != "get" || !strings.Contains(key, "/log/") {
			return
		}
		once.Do(func() {
			w := newWriter(t, open(t, b), "meanwhile")
			if _, err := w.Commit(t.Context(), storage.Change{
				CreatedAt: cutAt, Segments: []*storage.Closed{write(t, w, 30, p)}, Partitions: []storage.PartitionState{upTo(p, 40)},
			}); err != nil {
				t.Error(err)
			}
		})
	}
	a, err := storage.Open(t.Context(), b, storage.Config{ReadOnly: true, Hooks: storage.Hooks{OnOperation: commit}})
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := a.VerifyChain(t.Context(), lineage); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
