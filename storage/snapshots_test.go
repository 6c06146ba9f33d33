package storage_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kafkadr/kafkadr/storage"
)

// list returns the IDs that Snapshots yields, and the error at the sequence's end.
func list(t testing.TB, a *storage.Archive) (ids []string, end error) {
	t.Helper()
	for info, err := range a.Snapshots(t.Context(), lineage) {
		if end != nil {
			t.Errorf("%v, %v behind an error", info, err)
		}
		if end = err; err == nil {
			ids = append(ids, info.ID)
		}
	}
	return ids, end
}

// logKeys are the entries' objects.
func (o objects) logKeys() []string {
	return slices.DeleteFunc(o.keys(), func(key string) bool { return !strings.Contains(key, "/log/") })
}

// flip changes a byte of an object.
func (o objects) flip(key string, i int) {
	raw := bytes.Clone(o[key])
	raw[i] ^= 1 << (i % 8)
	o[key] = raw
}

// TestListDamaged flips bytes of the log's newest entry: what lies before it is listed, and that it
// is damaged.
func TestListDamaged(t *testing.T) {
	sound := small(t)
	whole, err := list(t, open(t, sound.bucket(t)))
	if err != nil || len(whole) != 2 {
		t.Fatal(whole, err)
	}
	flush := func(ids []string) bool {
		return len(ids) == 2 && ids[0] == whole[0] && strings.HasPrefix(ids[1], "000003-")
	}
	head := sound.logKeys()[4]
	for i := range sound[head] {
		all := maps.Clone(sound)
		all.flip(head, i)
		a, err := storage.Open(t.Context(), all.bucket(t), storage.Config{ReadOnly: true, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		ids, err := list(t, a)
		var damage *storage.DamageError
		var version *storage.VersionError
		if found := errors.As(err, &damage) && damage.Object == head || errors.As(err, &version) && version.Object == head; !found || !flush(ids) {
			t.Errorf("byte %d: %v are listed, %v", i, ids, err)
		}
		if s, err := a.Latest(t.Context(), nil); err == nil {
			t.Errorf("byte %d: latest is %v", i, s.Info())
		}
	}
}

// TestListDamagedBehindClaims: claims behind a damaged commit hide nothing either, and all of the
// log can be damaged.
func TestListDamagedBehindClaims(t *testing.T) {
	all := small(t)
	b := all.bucket(t)
	if err := sweep(t, b, "sweep"); err != nil {
		t.Fatal(err)
	}
	all = copyOf(t, b)
	keys := all.logKeys()
	all.flip(keys[4], 20)
	if ids, err := list(t, open(t, all.bucket(t))); err == nil || len(ids) != 2 {
		t.Errorf("%v are listed, %v", ids, err)
	}
	for _, key := range keys {
		all.flip(key, len(all[key])-1)
	}
	if ids, err := list(t, open(t, all.bucket(t))); err == nil || len(ids) != 0 {
		t.Errorf("%v are listed, %v", ids, err)
	}
}
