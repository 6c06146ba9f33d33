package faultbucket

import (
	"context"
	"errors"
	"io"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

// bucket implements driver.Bucket over a portable one.
type bucket struct {
	inner *blob.Bucket
	f     *Faults
}

func (b *bucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, ErrFull):
		return gcerrors.ResourceExhausted
	case errors.Is(err, ErrHidden):
		return gcerrors.NotFound
	case errors.Is(err, ErrInjected):
		return gcerrors.Internal
	}
	return gcerrors.Code(err)
}

func (b *bucket) As(any) bool             { return false }
func (b *bucket) ErrorAs(error, any) bool { return false }
func (b *bucket) Close() error            { return nil }

func (b *bucket) Attributes(ctx context.Context, key string) (*driver.Attributes, error) {
	fault, err := b.f.next(ctx, Stat, key)
	if err != nil {
		return nil, err
	}
	a, err := b.inner.Attributes(ctx, key)
	if err = outcome(fault, err); err != nil {
		return nil, err
	}
	return &driver.Attributes{ContentType: a.ContentType, ModTime: a.ModTime, Size: a.Size, MD5: a.MD5, ETag: a.ETag, Metadata: a.Metadata}, nil
}

func (b *bucket) ListPaged(ctx context.Context, opts *driver.ListOptions) (*driver.ListPage, error) {
	fault, err := b.f.next(ctx, List, opts.Prefix)
	if err != nil {
		return nil, err
	}
	token, size := opts.PageToken, opts.PageSize
	if len(token) == 0 {
		token = blob.FirstPageToken
	}
	if size == 0 {
		size = 1000
	}
	objects, next, err := b.inner.ListPage(ctx, token, size, &blob.ListOptions{Prefix: opts.Prefix, Delimiter: opts.Delimiter})
	if err = outcome(fault, err); err != nil {
		return nil, err
	}
	page := &driver.ListPage{NextPageToken: next}
	for _, o := range objects {
		page.Objects = append(page.Objects, &driver.ListObject{Key: o.Key, ModTime: o.ModTime, Size: o.Size, MD5: o.MD5, IsDir: o.IsDir})
	}
	return page, nil
}

func (b *bucket) NewRangeReader(ctx context.Context, key string, offset, length int64, opts *driver.ReaderOptions) (driver.Reader, error) {
	fault, err := b.f.next(ctx, Get, key)
	if err != nil {
		return nil, err
	}
	r, err := b.inner.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, err
	}
	if opts.BeforeRead != nil {
		if err := opts.BeforeRead(func(any) bool { return false }); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	if fault == After {
		return nil, errors.Join(ErrInjected, r.Close())
	}
	n := max(0, r.Size()-offset)
	if length >= 0 {
		n = min(n, length)
	}
	rd := &reader{Reader: r, from: r}
	switch fault {
	case Cut:
		rd.from = io.MultiReader(io.LimitReader(r, n/2), failing{})
	case Short:
		rd.from = io.LimitReader(r, n/2)
	}
	return rd, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, ErrInjected }

type reader struct {
	*blob.Reader
	from io.Reader
}

func (r *reader) Read(p []byte) (int, error) { return r.from.Read(p) }
func (r *reader) As(any) bool                { return false }

func (r *reader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{ContentType: r.ContentType(), ModTime: r.ModTime(), Size: r.Size()}
}

func (b *bucket) NewTypedWriter(ctx context.Context, key, contentType string, opts *driver.WriterOptions) (driver.Writer, error) {
	if opts.BeforeWrite != nil {
		if err := opts.BeforeWrite(func(any) bool { return false }); err != nil {
			return nil, err
		}
	}
	wctx, cancel := context.WithCancel(ctx)
	w, err := b.inner.NewWriter(wctx, key, &blob.WriterOptions{
		IfNotExist: opts.IfNotExist && !b.f.isCareless(), ContentType: contentType, BufferSize: opts.BufferSize,
		MaxConcurrency: opts.MaxConcurrency, Metadata: opts.Metadata,
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return &writer{
		w: w, cancel: cancel,
		next: func() (Fault, error) { return b.f.next(ctx, Put, key) },
	}, nil
}

// writer counts as one operation, when it is closed.
type writer struct {
	w      *blob.Writer
	cancel context.CancelFunc
	next   func() (Fault, error)
}

func (w *writer) Write(p []byte) (int, error) { return w.w.Write(p) }

func (w *writer) Close() error {
	defer w.cancel()
	fault, err := w.next()
	if err == nil && fault == Cut {
		err = ErrInjected
	}
	if err != nil || fault == Drop {
		w.cancel()
		_ = w.w.Close() // says that it was cancelled
		return err
	}
	return outcome(fault, w.w.Close())
}

func (b *bucket) Copy(ctx context.Context, dst, src string, _ *driver.CopyOptions) error {
	fault, err := b.f.next(ctx, Copy, dst)
	if err != nil || fault == Drop {
		return err
	}
	return outcome(fault, b.inner.Copy(ctx, dst, src, nil))
}

func (b *bucket) Delete(ctx context.Context, key string, _ *driver.DeleteOptions) error {
	fault, err := b.f.next(ctx, Delete, key)
	if err != nil || fault == Drop {
		return err
	}
	return outcome(fault, b.inner.Delete(ctx, key))
}

func (b *bucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errors.ErrUnsupported
}
