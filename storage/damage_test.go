package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// objects are all of a bucket's.
type objects map[string][]byte

func (o objects) bucket(t testing.TB) *blob.Bucket {
	t.Helper()
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { _ = b.Close() })
	for key, raw := range o {
		if err := b.WriteAll(t.Context(), key, raw, nil); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func (o objects) keys() (keys []string) {
	for key := range o {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// small is an archive of three commits by two writers.
func small(t testing.TB) objects {
	t.Helper()
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { _ = b.Close() })
	a := open(t, b)
	p, q := partition(1, 0), partition(1, 1)
	w := newWriter(t, a, "first")
	for base := int64(0); base < 30; base += 10 {
		if base == 20 {
			w = newWriter(t, a, "second")
		}
		change := storage.Change{
			CreatedAt: cutAt, Flush: base == 10, Segments: []*storage.Closed{write(t, w, base, p, q)},
			Topics: []storage.Topic{topic(1)}, Partitions: []storage.PartitionState{upTo(p, base+10), upTo(q, base+10)},
		}
		if _, err := w.Commit(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	return copyOf(t, b)
}

func copyOf(t testing.TB, b *blob.Bucket) objects {
	t.Helper()
	all := objects{}
	for it := b.List(nil); ; {
		o, err := it.Next(t.Context())
		if err != nil {
			return all
		}
		if all[o.Key], err = b.ReadAll(t.Context(), o.Key); err != nil {
			t.Fatal(err)
		}
	}
}

// inspect reads everything. It returns whether something was found to be wrong, and fails if wrong
// records are read.
func inspect(t *testing.T, all objects) error {
	t.Helper()
	a, err := storage.Open(t.Context(), all.bucket(t), storage.Config{ReadOnly: true, Retries: -1})
	if err != nil {
		return err
	}
	problems, err := a.VerifyChain(t.Context(), lineage)
	if err != nil {
		return err
	}
	var found error
	for _, p := range problems {
		found = errors.Join(found, errors.New(p.Detail))
	}
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		return errors.Join(found, err)
	}
	found = errors.Join(found, s.CheckObjects(t.Context()))
	for o, err := range s.Objects(t.Context()) {
		if err != nil {
			return errors.Join(found, err)
		}
		r, err := segment.Open(bytes.NewReader(all[o.Key]), int64(len(all[o.Key])))
		if err == nil {
			err = r.Verify()
		}
		found = errors.Join(found, err)
	}
	for _, p := range []segment.Partition{partition(1, 0), partition(1, 1)} {
		err := readSome(t, t.Context(), s, p)
		var damage *storage.DamageError
		if errors.As(err, &damage) && damage.Object == "" {
			t.Errorf("damage without an object: %v", err)
		}
		found = errors.Join(found, err)
	}
	return found
}

// TestOneEntryDamaged: an entry that can't be read, be it a claim, is the only one that a
// verification of the log names.
func TestOneEntryDamaged(t *testing.T) {
	b := small(t).bucket(t)
	p := partition(1, 0)
	for base := int64(30); base < 60; base += 10 {
		w := newWriter(t, open(t, b), "next")
		if _, err := w.Commit(t.Context(), storage.Change{
			CreatedAt: cutAt, Segments: []*storage.Closed{write(t, w, base, p)}, Partitions: []storage.PartitionState{upTo(p, base+10)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	all := copyOf(t, b)
	keys := all.logKeys()
	if len(keys) < 8 {
		t.Fatal(keys)
	}
	for _, key := range keys {
		damaged := maps.Clone(all)
		damaged[key] = slices.Clone(all[key])
		damaged[key][len(all[key])/2] ^= 1
		problems, err := open(t, damaged.bucket(t)).VerifyChain(t.Context(), lineage)
		if err != nil || len(problems) != 1 || problems[0].Kind != "damaged" || problems[0].Object != key {
			t.Errorf("%s: %+v, %v", key, problems, err)
		}
	}
}

// readSome reads until an error; all that is read must be what was written.
func readSome(t *testing.T, ctx context.Context, s *storage.Snapshot, p segment.Partition) error {
	t.Helper()
	c := s.Cursor(ctx, p, 0, 0, 1<<62, storage.CursorOptions{ReadAhead: -1})
	defer c.Close()
	var end int64
	for {
		b, _, err := c.Next()
		if errors.Is(err, io.EOF) {
			if end != s.Info().Records/2 {
				t.Errorf("%v ends at %d without an error", p, end)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if b.BaseOffset() != end || b.CheckCRC() != nil {
			t.Errorf("%v: a batch at %d where %d belongs", p, b.BaseOffset(), end)
		}
		end = b.EndOffset()
	}
}

// TestLostLatest: where the last full snapshot's manifest is gone, nobody gets an older one for it
// unasked.
func TestLostLatest(t *testing.T) {
	all := small(t)
	var last string
	for _, key := range all.keys() {
		if strings.Contains(key, "/log/") {
			last = key
		}
	}
	a := open(t, all.bucket(t))
	before, err := a.Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	delete(all, last)
	a = open(t, all.bucket(t))
	var damage *storage.DamageError
	if s, err := a.Latest(t.Context(), nil); !errors.As(err, &damage) || damage.Object != last || !strings.Contains(err.Error(), before.Info().ID) {
		t.Errorf("latest: %v, %v", s, err)
	}
	if ids, err := list(t, a); len(ids) != 2 || !errors.As(err, &damage) || damage.Object != last {
		t.Errorf("%v are listed, %v", ids, err)
	}
	if _, err := newWriter(t, a, "third").Commit(t.Context(), storage.Change{CreatedAt: cutAt, Incomplete: true}); err != nil {
		t.Fatal(err)
	}
	if s, err := a.Latest(t.Context(), nil); !errors.As(err, &damage) || damage.Object != last {
		t.Errorf("latest, where another entry is in the lost one's place: %v, %v", s, err)
	}
	if _, err := newWriter(t, a, "fourth").Commit(t.Context(), storage.Change{CreatedAt: cutAt}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Latest(t.Context(), nil); err != nil {
		t.Errorf("behind a new snapshot: %v", err)
	}
}

// TestLostMarker: an archive without its marker is a damaged one, and nothing to begin anew.
func TestLostMarker(t *testing.T) {
	all := small(t)
	delete(all, "archive")
	for _, readOnly := range []bool{true, false} {
		var damage *storage.DamageError
		_, err := storage.Open(t.Context(), all.bucket(t), storage.Config{ReadOnly: readOnly, Retries: -1})
		if !errors.As(err, &damage) || damage.Object != "archive" {
			t.Errorf("read-only %v: %v", readOnly, err)
		}
	}
}

// TestDamage flips every byte of an archive, cuts, deletes and swaps every object, and puts old
// ones back: it is found, and no wrong record is read.
func TestDamage(t *testing.T) {
	testpass.NoRaces(t)
	sound := small(t)
	if err := inspect(t, sound); err != nil {
		t.Fatal(err)
	}
	damaged := func(what, key string, raw []byte) {
		t.Helper()
		all := objects{}
		for k, v := range sound {
			all[k] = v
		}
		if all[key] = raw; raw == nil {
			delete(all, key)
		}
		if inspect(t, all) == nil {
			t.Errorf("%s %s: not found", what, key)
		}
	}
	for _, key := range sound.keys() {
		raw := sound[key]
		if strings.Contains(key, "/end/") {
			continue // a witness alone: nothing is lost with it
		}
		damaged("delete", key, nil)
		step := 1 // every byte; with -short every seventh
		if testing.Short() {
			step = 7
		}
		for i := 0; i < len(raw); i += step {
			flipped := bytes.Clone(raw)
			flipped[i] ^= 1 << (i % 8)
			damaged("flip", key, flipped)
		}
		for n := 0; n < len(raw); n += 1 + len(raw)/50 {
			damaged("cut", key, raw[:n:n])
		}
		damaged("add to", key, append(bytes.Clone(raw), 0))
		for _, other := range sound.keys() {
			if other != key && len(sound[other]) > 0 {
				damaged("put "+other+" for", key, sound[other])
			}
		}
	}
}
