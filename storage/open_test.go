package storage_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"testing"
	"testing/fstest"

	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage"
)

// TestOpen tries buckets that are no archive, and stores that aren't fit for one.
func TestOpen(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	if _, err := storage.Open(t.Context(), b, storage.Config{ReadOnly: true}); !errors.Is(err, storage.ErrNoArchive) {
		t.Fatal(err)
	}
	noError(t, b.WriteAll(t.Context(), "photo.jpg", nil, nil))
	if _, err := storage.Open(t.Context(), b, storage.Config{}); !errors.Is(err, storage.ErrNoArchive) {
		t.Fatal(err)
	}
	for text, want := range map[string]any{
		"kafkadr archive\nformat 2\n":  new(*storage.VersionError),
		"kafkadr archive\nformat 1":    new(*storage.DamageError),
		"kafkadr archive\nformat 01\n": new(*storage.DamageError),
		"kafkadr archive\nformat -1\n": new(*storage.DamageError),
		"something else":               new(*storage.DamageError),
		"":                             new(*storage.DamageError),
	} {
		noError(t, b.WriteAll(t.Context(), "archive", []byte(text), nil))
		for _, readOnly := range []bool{true, false} {
			_, err := storage.Open(t.Context(), b, storage.Config{ReadOnly: readOnly})
			if !errors.As(err, want) {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

// TestNotCreateOnly refuses such a store at every open, and does an archive in it no harm.
func TestNotCreateOnly(t *testing.T) {
	all := small(t)
	inner := all.bucket(t)
	b, faults := faultbucket.New(inner)
	faults.IgnoreCreateOnly()
	for range 2 {
		if _, err := storage.Open(t.Context(), b, storage.Config{}); !errors.Is(err, storage.ErrNotCreateOnly) {
			t.Fatal(err)
		}
		now := objects{}
		for key, text := range contents(t, inner) {
			now[key] = []byte(text)
		}
		if err := inspect(t, now); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLineages(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	a := open(t, b)
	if _, err := a.Latest(t.Context(), nil); !errors.Is(err, storage.ErrNoSnapshot) {
		t.Fatal(err)
	}
	ids := []string{"A", "MkU3OEVBNTcwNTJENDM2Qg", "mkU3OEVBNTcwNTJENDM2Qg", "ünïcode/../x"}
	for _, id := range ids {
		_, err := a.NewWriter(t.Context(), storage.Lineage{ClusterID: id}, storage.WriterConfig{})
		noError(t, err)
	}
	ls, err := a.Lineages(t.Context())
	noError(t, err)
	for i, l := range ls {
		if l.ClusterID != ids[i] {
			t.Fatal(ls)
		}
	}
	var le *storage.LineageError
	if _, err := a.Latest(t.Context(), nil); !errors.As(err, &le) || len(le.Lineages) != 4 {
		t.Fatal(err)
	}
	for _, id := range []string{"", "x", "1-", "-1-00000000", "000002-00000000", "999999999999-00000000", "../../archive"} {
		if _, err := a.Snapshot(t.Context(), id); !errors.Is(err, storage.ErrNoSnapshot) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := a.NewWriter(t.Context(), storage.Lineage{}, storage.WriterConfig{}); err == nil {
		t.Fatal("a lineage without a cluster ID")
	}
}

// TestKeysOfObjects match what every store and file system keeps apart.
func TestKeysOfObjects(t *testing.T) {
	for _, key := range small(t).keys() {
		for i, c := range []byte(key) {
			alnum := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
			if !alnum && (i == 0 || c != '.' && c != '/' && c != '-') {
				t.Errorf("%s", key)
			}
		}
	}
}

// TestOpenFS reads archives from a map and from a zip file, whose files can't seek.
func TestOpenFS(t *testing.T) {
	all := small(t)
	fsys := fstest.MapFS{}
	var zipped bytes.Buffer
	zw := zip.NewWriter(&zipped)
	for key, raw := range all {
		fsys[key] = &fstest.MapFile{Data: raw}
		w, err := zw.Create(key)
		noError(t, err)
		_, err = w.Write(raw)
		noError(t, err)
	}
	noError(t, zw.Close())
	zr, err := zip.NewReader(bytes.NewReader(zipped.Bytes()), int64(zipped.Len()))
	noError(t, err)
	for _, open := range []func() (*storage.Archive, error){
		func() (*storage.Archive, error) { return storage.OpenFS(fsys) },
		func() (*storage.Archive, error) { return storage.OpenFS(zr) },
	} {
		a, err := open()
		noError(t, err)
		s, err := a.Latest(t.Context(), nil)
		noError(t, err)
		if n := len(readAll(t, s, partition(1, 1))); n != 30 {
			t.Fatal(n)
		}
		noError(t, s.CheckObjects(t.Context()))
		if _, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{}); !errors.Is(err, storage.ErrReadOnly) {
			t.Fatal(err)
		}
	}
	if _, err := storage.OpenFS(fstest.MapFS{}); !errors.Is(err, storage.ErrNoArchive) {
		t.Fatal(err)
	}
}

// TestFullStore gives the store's error, and goes on when there is room.
func TestFullStore(t *testing.T) {
	inner := memblob.OpenBucket(nil)
	defer func() { _ = inner.Close() }()
	b, faults := faultbucket.New(inner)
	a, err := storage.Open(t.Context(), b, storage.Config{Retries: -1})
	noError(t, err)
	w := newWriter(t, a, "owner")
	faults.Set(faultbucket.On(faultbucket.Put, faultbucket.Full))
	if _, err := tryWrite(t, t.Context(), w, 0, partition(1, 0)); !errors.Is(err, faultbucket.ErrFull) {
		t.Fatal(err)
	}
	faults.Set(nil)
	write(t, w, 0, partition(1, 0))
}
