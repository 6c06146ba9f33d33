// Package fsread is a read-only gocloud driver over an fs.FS.
//
// Keys are paths of files. Listings are in the order of keys, with delimiter "/" or none;
// directories without files don't show, nor do files and directories whose names begin with a dot.
package fsread

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// Bucket implements driver.Bucket. Writing operations are Unimplemented.
type Bucket struct {
	fsys  fs.FS
	walks walks
}

// New reads fsys.
func New(fsys fs.FS) *Bucket { return &Bucket{fsys: fsys} }

var errReadOnly = errors.New("read-only file system")

// ErrorCode implements driver.Bucket.
func (b *Bucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gcerrors.NotFound
	case errors.Is(err, fs.ErrInvalid):
		return gcerrors.InvalidArgument
	case errors.Is(err, fs.ErrPermission):
		return gcerrors.PermissionDenied
	case errors.Is(err, errReadOnly):
		return gcerrors.Unimplemented
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	}
	return gcerrors.Unknown
}

// As implements driver.Bucket.
func (b *Bucket) As(any) bool { return false }

// ErrorAs implements driver.Bucket.
func (b *Bucket) ErrorAs(error, any) bool { return false }

// Close implements driver.Bucket.
func (b *Bucket) Close() error { return nil }

// Attributes implements driver.Bucket.
func (b *Bucket) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	info, err := fs.Stat(b.fsys, key)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, &fs.PathError{Op: "stat", Path: key, Err: fs.ErrNotExist}
	}
	return &driver.Attributes{ContentType: contentType, ModTime: info.ModTime(), Size: info.Size()}, nil
}

const contentType = "application/octet-stream"

// NewRangeReader implements driver.Bucket.
func (b *Bucket) NewRangeReader(ctx context.Context, key string, offset, length int64, opts *driver.ReaderOptions) (driver.Reader, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := b.fsys.Open(key)
	if err != nil {
		return nil, err
	}
	r, err := newReader(ctx, f, key, offset, length)
	if err == nil && opts.BeforeRead != nil {
		err = opts.BeforeRead(func(any) bool { return false })
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

type reader struct {
	io.Reader
	f     fs.File
	ctx   func() error
	attrs driver.ReaderAttributes
}

func newReader(ctx context.Context, f fs.File, key string, offset, length int64) (*reader, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: key, Err: fs.ErrNotExist}
	}
	if err := skip(f, offset); err != nil {
		return nil, err
	}
	r := &reader{Reader: f, f: f, ctx: ctx.Err}
	if length >= 0 {
		r.Reader = io.LimitReader(f, length)
	}
	r.attrs = driver.ReaderAttributes{ContentType: contentType, ModTime: info.ModTime(), Size: info.Size()}
	return r, nil
}

func skip(f fs.File, offset int64) error {
	if offset <= 0 {
		return nil
	}
	if s, ok := f.(io.Seeker); ok {
		if _, err := s.Seek(offset, io.SeekStart); err == nil {
			return nil
		}
	}
	if _, err := io.CopyN(io.Discard, f, offset); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func (r *reader) Close() error                         { return r.f.Close() }
func (r *reader) Attributes() *driver.ReaderAttributes { return &r.attrs }
func (r *reader) As(any) bool                          { return false }

// NewTypedWriter implements driver.Bucket.
func (b *Bucket) NewTypedWriter(context.Context, string, string, *driver.WriterOptions) (driver.Writer, error) {
	return nil, errReadOnly
}

// Copy implements driver.Bucket.
func (b *Bucket) Copy(context.Context, string, string, *driver.CopyOptions) error { return errReadOnly }

// Delete implements driver.Bucket.
func (b *Bucket) Delete(context.Context, string, *driver.DeleteOptions) error { return errReadOnly }

// SignedURL implements driver.Bucket.
func (b *Bucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errReadOnly
}
