package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

const contentType = "application/octet-stream"

// readRange reads up to length bytes from position on, and returns the object's size as well. A
// read that ends early although the object doesn't is tried again; one behind the object's end
// returns what there is. must says that the object has to be there.
func (a *Archive) readRange(ctx context.Context, key string, must bool, position, length int64) (raw []byte, size int64, err error) {
	err = a.ask(ctx, "get", key, must, length, func(ctx context.Context) error {
		raw, size, err = a.readOnce(ctx, key, position, length)
		a.operation("get", key, int64(len(raw)), err)
		if err == nil || gcerrors.Code(err) == gcerrors.NotFound || ctx.Err() != nil {
			return err
		}
		// Stores differ in what they answer beyond an object's end: look whether that is it.
		if attrs, e := a.b.Attributes(ctx, key); e == nil && attrs.Size < position+length && attrs.Size <= position {
			raw, size = nil, attrs.Size
			return nil
		}
		return err
	})
	return raw, size, err
}

func (a *Archive) readOnce(ctx context.Context, key string, position, length int64) ([]byte, int64, error) {
	r, err := a.b.NewRangeReader(ctx, key, position, length, nil)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = r.Close() }()
	want := max(0, min(length, r.Size()-position))
	raw := make([]byte, want)
	n, err := io.ReadFull(r, raw)
	if err != nil {
		return raw[:n], 0, fmt.Errorf("%d of %d bytes: %w", n, want, err)
	}
	return raw, r.Size(), r.Close()
}

// readExactly is readRange for bytes that must be there.
func (a *Archive) readExactly(ctx context.Context, key string, position, length int64) ([]byte, error) {
	raw, size, err := a.readRange(ctx, key, true, position, length)
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) < length {
		return nil, fmt.Errorf("%w: %d bytes long, bytes to %d are missing", errTruncated, size, position+length)
	}
	return raw, nil
}

var errTruncated = errors.New("object is too short")

// create writes a small object create-only. The answer of an unreliable store isn't believed: the
// object is read back, so that a write that failed and has succeeded counts, and one that succeeded
// and isn't there doesn't. same says whether an object that is there is ours; otherwise the error
// is a conflict.
func (a *Archive) create(ctx context.Context, key string, raw []byte, same func(context.Context) (bool, error)) error {
	p := a.policy(ctx, "put", key)
	p.Bytes = int64(len(raw))
	return a.do(ctx, "put", key, p, func(ctx context.Context) error {
		err := a.putOnce(ctx, key, raw)
		a.operation("put", key, int64(len(raw)), err)
		if err != nil && !isConflict(err) {
			return err
		}
		ours, readErr := same(ctx)
		switch {
		case isAbsent(readErr):
			return fmt.Errorf("the store said success and has no object %s", key)
		case readErr != nil:
			return fmt.Errorf("%w: %w", errGiveUp, readErr)
		case !ours:
			return errConflict
		}
		return nil
	})
}

// errConflict says that somebody else's object is there.
var errConflict = errors.New("the object exists and is another")

func (a *Archive) putOnce(ctx context.Context, key string, raw []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Upload, not a Writer: Azure's panics at Close where the store refuses (see closeWriter).
	return a.b.Upload(ctx, key, bytes.NewReader(raw), &blob.WriterOptions{IfNotExist: true, ContentType: contentType, DisableContentTypeDetection: true})
}

// closeWriter closes a writer. Azure's driver (gocloud.dev v0.47) dereferences a nil pointer in
// Close, on this goroutine, after the store has refused or the context has ended: that is a failed
// write.
func closeWriter(w *blob.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the store's driver gave the upload up: %v", p)
		}
	}()
	return w.Close()
}

// isFolder says that an object is what consoles make of a "folder": empty, and named as a prefix.
func isFolder(o *blob.ListObject) bool {
	return !o.IsDir && o.Size == 0 && (o.Key == "" || strings.HasSuffix(o.Key, "/"))
}

// list yields what lies below prefix in order: objects, and with a delimiter directories.
func (a *Archive) list(ctx context.Context, prefix, delimiter string) iter.Seq2[*blob.ListObject, error] {
	return func(yield func(*blob.ListObject, error) bool) {
		token := blob.FirstPageToken
		for len(token) > 0 {
			var page []*blob.ListObject
			var next []byte
			err := a.retry(ctx, "list", prefix, func(ctx context.Context) (err error) {
				page, next, err = a.b.ListPage(ctx, token, listPage, &blob.ListOptions{Prefix: prefix, Delimiter: delimiter})
				a.operation("list", prefix, 0, err)
				return err
			})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, o := range page {
				if !yield(o, nil) {
					return
				}
			}
			token = next
		}
	}
}

const listPage = 1000

func (a *Archive) operation(op, key string, bytes int64, err error) {
	if a.cfg.Hooks.OnOperation != nil {
		a.cfg.Hooks.OnOperation(op, key, bytes, err)
	}
}
