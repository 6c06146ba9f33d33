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
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	name := filepath.Join(dir, fmt.Sprintf("%d-%s", os.Getpid(), strings.ToLower(rand.Text())))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
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
			return fmt.Errorf("%w: %s", errExists, key)
		} else if err != nil {
			return err
		}
	} else if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
