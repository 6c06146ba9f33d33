package filestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// makeRoot makes the bucket's directory, and those above it, durably.
func (b *bucket) makeRoot() error {
	var missing []string
	for dir := b.dir; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			break
		}
		missing = append(missing, dir)
	}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return err
	}
	for _, dir := range missing {
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}

// makeDirs makes a directory below the bucket's and sees that its name is on disk, and the names of
// those above it. A directory that is there may have been made by a process that hasn't synced it
// yet, so each is synced once.
func (b *bucket) makeDirs(dir string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.makeDir(dir)
}

func (b *bucket) makeDir(dir string) error {
	if dir == b.dir || b.durable[dir] {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := b.makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := b.sync(parent); err != nil {
		return err
	}
	b.durable[dir] = true
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// removeStale removes what killed processes left. Errors don't matter: the files are in nobody's
// way.
func (b *bucket) removeStale(age time.Duration) {
	dir := filepath.Join(b.dir, tempDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) >= age {
			removeUnlocked(filepath.Join(dir, e.Name()))
		}
	}
}

func removeUnlocked(name string) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if lock(f) == nil {
		_ = os.Remove(name)
	}
}
