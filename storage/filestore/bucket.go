package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"

	"github.com/kafkadr/kafkadr/storage/internal/fsread"
)

// Options are the settings of a bucket. The zero value is the default.
type Options struct {
	// MustExist refuses a directory that doesn't exist; otherwise it is made. Default off.
	MustExist bool
	// StaleAfter is the age at which a temporary file that no process holds is removed. Default 1
	// h.
	StaleAfter time.Duration
}

const (
	tempDir           = ".kafkadr-tmp"
	defaultStaleAfter = time.Hour
)

// OpenBucket opens the directory as a bucket. o may be nil. Close the bucket when done; that has no
// effect on the directory.
func OpenBucket(dir string, o *Options) (*blob.Bucket, error) {
	b, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("filestore: open %s: %w", dir, err)
	}
	return blob.NewBucket(b), nil
}

func open(dir string, o *Options) (*bucket, error) {
	if o == nil {
		o = &Options{}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	b := &bucket{Bucket: fsread.New(os.DirFS(dir)), dir: dir, durable: map[string]bool{}, unsynced: map[string]bool{}, sync: syncDir}
	if !o.MustExist {
		if err := b.makeRoot(); err != nil {
			return nil, err
		}
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, errors.New("not a directory")
	}
	age := o.StaleAfter
	if age <= 0 {
		age = defaultStaleAfter
	}
	b.removeStale(age)
	return b, nil
}

// bucket reads by fsread and adds writing.
type bucket struct {
	*fsread.Bucket
	dir string
	mu  sync.Mutex
	// durable are the directories whose names are known to be on disk.
	durable map[string]bool
	// unsynced are objects whose names couldn't be made durable.
	unsynced map[string]bool
	// sync makes the names in a directory durable.
	sync func(dir string) error
}

var (
	errExists = errors.New("the object exists")
	errKey    = errors.New("key doesn't match [a-z0-9][a-z0-9./-]*")
)

// ErrorCode implements driver.Bucket.
func (b *bucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, errExists):
		return gcerrors.FailedPrecondition
	case errors.Is(err, errKey):
		return gcerrors.InvalidArgument
	case isFull(err):
		return gcerrors.ResourceExhausted
	}
	return b.Bucket.ErrorCode(err)
}

// checkKey accepts what every file system takes, keeps apart, and can't mistake for a way out of
// the directory.
func checkKey(key string) error {
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || len(part) > 255 || !isAlnum(part[0]) || part[len(part)-1] == '.' {
			return fmt.Errorf("%w: %q", errKey, key)
		}
		for i := range len(part) {
			if c := part[i]; !isAlnum(c) && c != '.' && c != '-' {
				return fmt.Errorf("%w: %q", errKey, key)
			}
		}
	}
	return nil
}

func isAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func (b *bucket) path(key string) string { return filepath.Join(b.dir, filepath.FromSlash(key)) }

// Attributes implements driver.Bucket.
func (b *bucket) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if err := b.settle(key); err != nil {
		return nil, err
	}
	a, err := b.Bucket.Attributes(ctx, key)
	return a, notDirectory(err)
}

// NewRangeReader implements driver.Bucket.
func (b *bucket) NewRangeReader(ctx context.Context, key string, offset, length int64, opts *driver.ReaderOptions) (driver.Reader, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if err := b.settle(key); err != nil {
		return nil, err
	}
	r, err := b.Bucket.NewRangeReader(ctx, key, offset, length, opts)
	return r, notDirectory(err)
}

// Delete implements driver.Bucket. The directory above stays.
func (b *bucket) Delete(ctx context.Context, key string, opts *driver.DeleteOptions) error {
	if err := errors.Join(checkKey(key), ctx.Err()); err != nil {
		return err
	}
	if opts.BeforeDelete != nil {
		if err := opts.BeforeDelete(func(any) bool { return false }); err != nil {
			return err
		}
	}
	path := b.path(key)
	info, err := os.Lstat(path)
	if err != nil {
		return notDirectory(err)
	}
	if info.IsDir() {
		return &os.PathError{Op: "delete", Path: key, Err: os.ErrNotExist}
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return b.sync(filepath.Dir(path))
}

// Copy implements driver.Bucket.
func (b *bucket) Copy(ctx context.Context, dst, src string, opts *driver.CopyOptions) error {
	if opts.BeforeCopy != nil {
		if err := opts.BeforeCopy(func(any) bool { return false }); err != nil {
			return err
		}
	}
	r, err := b.NewRangeReader(ctx, src, 0, -1, &driver.ReaderOptions{})
	if err != nil {
		return err
	}
	w, err := b.NewTypedWriter(ctx, dst, "", &driver.WriterOptions{})
	if err != nil {
		return errors.Join(err, r.Close())
	}
	if _, err := io.Copy(w, r); err != nil {
		w.(*writer).abort()
		return errors.Join(err, r.Close())
	}
	return errors.Join(w.Close(), r.Close())
}
