//go:build unix

package filestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// TestSyncedBeforeItCounts: a write whose last fsync fails isn't there for readers, nor for those
// who write again, before an fsync has succeeded.
func TestSyncedBeforeItCounts(t *testing.T) {
	own, err := open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := blob.NewBucket(own)
	put := func() error {
		return b.WriteAll(t.Context(), "log/1", []byte("x"), &blob.WriterOptions{IfNotExist: true})
	}
	if err := b.WriteAll(t.Context(), "log/0", nil, nil); err != nil { // its directory is durable
		t.Fatal(err)
	}
	var synced []string
	failing := true
	own.sync = func(dir string) error {
		synced = append(synced, filepath.Base(dir))
		if failing {
			return syscall.EIO
		}
		return syncDir(dir)
	}
	for range 2 {
		if err := put(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("a write that isn't durable: %v", err)
		}
		if _, err := b.ReadAll(t.Context(), "log/1"); !errors.Is(err, syscall.EIO) {
			t.Fatalf("read of a write that isn't durable: %v", err)
		}
		if _, err := b.Attributes(t.Context(), "log/1"); !errors.Is(err, syscall.EIO) {
			t.Fatalf("attributes of a write that isn't durable: %v", err)
		}
	}
	failing, synced = false, nil
	if raw, err := b.ReadAll(t.Context(), "log/1"); err != nil || string(raw) != "x" || len(synced) != 1 || synced[0] != "log" {
		t.Fatal(string(raw), err, synced)
	}
	if err := put(); gcerrors.Code(err) != gcerrors.FailedPrecondition || len(synced) != 2 {
		t.Fatal(err, synced)
	}
	if _, err := b.ReadAll(t.Context(), "log/1"); err != nil || len(synced) != 2 {
		t.Fatal("a durable object is synced at each read", err, synced)
	}
}

// TestOwnersAlone: what an archive holds is for nobody but its owner.
func TestOwnersAlone(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	top := filepath.Join(t.TempDir(), "made")
	b, err := OpenBucket(filepath.Join(top, "dir"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WriteAll(t.Context(), "a/b/c", []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
