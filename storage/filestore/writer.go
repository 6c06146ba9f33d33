package filestore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gocloud.dev/blob/driver"
)

// writer fills a temporary file, which Close gives its name.
type writer struct {
	b         *bucket
	f         *os.File
	key       string
	cancelled func() error
	create    bool
	err       error
}

// NewTypedWriter implements driver.Bucket.
func (b *bucket) NewTypedWriter(ctx context.Context, key, _ string, opts *driver.WriterOptions) (driver.Writer, error) {
	if err := errors.Join(checkKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	f, err := b.temp()
	if err != nil {
		return nil, err
	}
	w := &writer{b: b, f: f, key: key, create: opts.IfNotExist}
	w.cancelled = func() error { return context.Cause(ctx) }
	if opts.BeforeWrite != nil {
		if err := opts.BeforeWrite(func(any) bool { return false }); err != nil {
			w.abort()
			return nil, err
		}
	}
	return w, nil
}

// temp makes a file that no other process takes for a left over one.
func (b *bucket) temp() (*os.File, error) {
	dir := filepath.Join(b.dir, tempDir)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	name := filepath.Join(dir, fmt.Sprintf("%d-%s", os.Getpid(), strings.ToLower(rand.Text())))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(name))
	}
	return f, nil
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	if w.err == nil {
		w.err = w.cancelled()
	}
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.f.Write(p)
	w.err = err
	return n, err
}

// Close makes the object durable, or leaves nothing.
func (w *writer) Close() error {
	err := w.err
	if err == nil {
		err = w.cancelled()
	}
	if err == nil {
		err = w.f.Sync()
	}
	if err == nil {
		err = w.b.publish(w.f.Name(), w.key, w.create)
	}
	w.abort()
	return err
}

// abort removes the temporary file. Its name goes before its lock does.
func (w *writer) abort() {
	_ = os.Remove(w.f.Name()) // after a rename there is none
	_ = w.f.Close()           // synced, or of no use
}

// publish gives a synced file its name and makes that durable.
func (b *bucket) publish(temp, key string, create bool) error {
	path := b.path(key)
	if err := b.makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	if create {
		if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
			return b.exists(key)
		} else if err != nil {
			return err
		}
	} else if err := os.Rename(temp, path); err != nil {
		return err
	}
	return b.syncName(key)
}

// exists is the error of a create-only write that met an object. Whoever wrote that one may not
// have it on disk yet, and it counts from now on.
func (b *bucket) exists(key string) error {
	f, err := os.Open(b.path(key))
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close(), b.syncName(key)); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", errExists, key)
}

// syncName makes an object's name durable. Where that fails, the object is there and may be lost in
// a power failure: until it has succeeded no read gives the object, so that a write that failed
// doesn't count by being read back.
func (b *bucket) syncName(key string) error {
	err := b.sync(filepath.Dir(b.path(key)))
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.unsynced[key] = true
	} else {
		delete(b.unsynced, key)
	}
	return err
}

// settle syncs the name of an object that is about to be read, if that has failed before.
func (b *bucket) settle(key string) error {
	b.mu.Lock()
	unsynced := b.unsynced[key]
	b.mu.Unlock()
	if !unsynced {
		return nil
	}
	return b.syncName(key)
}
