package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

// Run checks a store. open returns a handle to a bucket that is empty at its first call in a test
// t; further calls with the same t must return the same bucket, through another handle where the
// store has such. Handles are open's to close, with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	for name, test := range map[string]func(t *testing.T, open func(t *testing.T) *blob.Bucket){
		"CreateOnly":           createOnly,
		"CreateOnlyConcurrent": createOnlyConcurrent,
		"ReadAndListAfter":     readAndListAfterWrite,
		"Ranges":               ranges,
		"ListingOrder":         listingOrder,
		"ListingPages":         listingPages,
		"NotFound":             notFound,
		"CancelledWriter":      cancelledWriter,
		"LargeObject":          largeObject,
		"Delete":               deleted,
		"Archive":              archive,
		"ArchiveOneWriter":     archiveOneWriter,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func create(ctx context.Context, b *blob.Bucket, key string, p []byte) error {
	return b.WriteAll(ctx, key, p, &blob.WriterOptions{IfNotExist: true})
}

func put(t *testing.T, b *blob.Bucket, key, value string) {
	t.Helper()
	if err := create(t.Context(), b, key, []byte(value)); err != nil {
		t.Fatalf("create %s: %v", key, err)
	}
}

func wantCode(t *testing.T, err error, code gcerrors.ErrorCode) {
	t.Helper()
	if gcerrors.Code(err) != code {
		t.Fatalf("error is %v, of code %v; want %v", err, gcerrors.Code(err), code)
	}
}

func wantValue(t *testing.T, b *blob.Bucket, key, value string) {
	t.Helper()
	got, err := b.ReadAll(t.Context(), key)
	if err != nil || string(got) != value {
		t.Fatalf("%s holds %q, %v; want %q", key, got, err, value)
	}
}

func createOnly(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	b, other := open(t), open(t)
	put(t, b, "a/b", "first")
	wantCode(t, create(t.Context(), b, "a/b", []byte("second")), gcerrors.FailedPrecondition)
	wantCode(t, create(t.Context(), other, "a/b", nil), gcerrors.FailedPrecondition)
	wantValue(t, other, "a/b", "first")
}

func createOnlyConcurrent(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	handles := []*blob.Bucket{open(t), open(t), open(t), open(t)}
	for _, key := range []string{"l/1", "l/2", "l/3"} {
		var wg sync.WaitGroup
		var winner atomic.Value
		var won atomic.Int32
		for i, b := range slices.Concat(handles, handles) {
			wg.Go(func() {
				value := string(rune('a' + i))
				err := create(t.Context(), b, key, []byte(value))
				if err == nil {
					won.Add(1)
					winner.Store(value)
				} else if gcerrors.Code(err) != gcerrors.FailedPrecondition {
					t.Errorf("create: %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 8 created the same object", won.Load())
		}
		wantValue(t, handles[0], key, winner.Load().(string))
	}
}

func readAndListAfterWrite(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	b, other := open(t), open(t)
	for _, key := range []string{"log/000/001", "log/000/002", "log/001/000"} {
		put(t, b, key, key)
		wantValue(t, other, key, key)
		if got := keys(t, other, "log/", ""); !slices.Contains(got, key) {
			t.Fatalf("%s was written and isn't listed: %v", key, got)
		}
		attrs, err := other.Attributes(t.Context(), key)
		if err != nil || attrs.Size != int64(len(key)) {
			t.Fatalf("attributes of %s: %+v, %v", key, attrs, err)
		}
	}
}

func ranges(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	b := open(t)
	put(t, b, "digits", "0123456789")
	put(t, b, "empty", "")
	wantValue(t, b, "empty", "")
	for _, c := range []struct {
		offset, length int64
		want           string
	}{{0, -1, "0123456789"}, {0, 3, "012"}, {4, 2, "45"}, {7, 100, "789"}, {9, -1, "9"}} {
		r, err := b.NewRangeReader(t.Context(), "digits", c.offset, c.length, nil)
		if err != nil {
			t.Fatalf("range %d, %d: %v", c.offset, c.length, err)
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || string(got) != c.want || r.Size() != 10 {
			t.Fatalf("range %d, %d: %q of %d, %v; want %q of 10", c.offset, c.length, got, r.Size(), err, c.want)
		}
	}
}

// keys lists as the archive does; directories end in a slash.
func keys(t *testing.T, b *blob.Bucket, prefix, delimiter string) (got []string) {
	t.Helper()
	it := b.List(&blob.ListOptions{Prefix: prefix, Delimiter: delimiter})
	for {
		o, err := it.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatalf("list %q: %v", prefix, err)
		}
		got = append(got, o.Key)
	}
}

func listingOrder(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	b := open(t)
	all := []string{"a", "a-b", "a.b", "b/a/1", "b/a-1", "b/b", "b/c/x/y", "b.c", "c0", "c/1"}
	for _, key := range all {
		put(t, b, key, key)
	}
	slices.Sort(all)
	for _, c := range []struct {
		prefix, delimiter string
		want              []string
	}{
		{"", "", all},
		{"", "/", []string{"a", "a-b", "a.b", "b.c", "b/", "c/", "c0"}},
		{"b/", "/", []string{"b/a-1", "b/a/", "b/b", "b/c/"}},
		{"b/", "", []string{"b/a-1", "b/a/1", "b/b", "b/c/x/y"}},
		{"b", "/", []string{"b.c", "b/"}},
		{"b/a", "", []string{"b/a-1", "b/a/1"}},
		{"b/c/x", "/", []string{"b/c/x/"}},
		{"none/", "/", nil},
		{"a/", "/", nil},
	} {
		if got := keys(t, b, c.prefix, c.delimiter); !slices.Equal(got, c.want) {
			t.Errorf("list %q by %q: %q, want %q", c.prefix, c.delimiter, got, c.want)
		}
	}
}

func listingPages(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	b := open(t)
	all := []string{"p-1", "p/1", "p/2/1", "p/2/2", "p/3", "q/1", "q/2", "r"}
	for _, key := range all {
		put(t, b, key, key)
	}
	for size := 1; size <= len(all); size++ {
		if got := paged(t, b, size, ""); !slices.Equal(got, all) {
			t.Errorf("in pages of %d: %q, want %q", size, got, all)
		}
		if got, want := paged(t, b, size, "/"), []string{"p-1", "p/", "q/", "r"}; !slices.Equal(got, want) {
			t.Errorf("by directory in pages of %d: %q, want %q", size, got, want)
		}
	}
}

func paged(t *testing.T, b *blob.Bucket, size int, delimiter string) (got []string) {
	t.Helper()
	for token := blob.FirstPageToken; len(token) > 0; {
		page, next, err := b.ListPage(t.Context(), token, size, &blob.ListOptions{Delimiter: delimiter})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page {
			got = append(got, o.Key)
		}
		token = next
	}
	return got
}

func notFound(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	b := open(t)
	put(t, b, "dir/object", "x")
	for _, key := range []string{"none", "dir", "dir/none", "none/none"} {
		_, err := b.ReadAll(t.Context(), key)
		wantCode(t, err, gcerrors.NotFound)
		_, err = b.Attributes(t.Context(), key)
		wantCode(t, err, gcerrors.NotFound)
		wantCode(t, b.Delete(t.Context(), key), gcerrors.NotFound)
	}
}

func cancelledWriter(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	b := open(t)
	for _, size := range []int{0, 1000, 6 << 20} {
		ctx, cancel := context.WithCancel(t.Context())
		w, err := b.NewWriter(ctx, "cancelled", &blob.WriterOptions{IfNotExist: true})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(bytes.Repeat([]byte{'x'}, size))
		cancel()
		if err := w.Close(); err == nil {
			t.Fatal("a cancelled writer was closed without an error")
		}
		_, err = b.Attributes(t.Context(), "cancelled")
		wantCode(t, err, gcerrors.NotFound)
		if got := keys(t, b, "", ""); len(got) > 0 {
			t.Fatalf("left behind: %q", got)
		}
	}
}

func largeObject(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	b := open(t)
	want := make([]byte, 17<<20)
	for i := range want {
		want[i] = byte(i ^ i>>8 ^ i>>16)
	}
	opts := &blob.WriterOptions{IfNotExist: true, BufferSize: 5 << 20, MaxConcurrency: 2}
	if err := b.WriteAll(t.Context(), "large", want, opts); err != nil {
		t.Fatal(err)
	}
	wantCode(t, b.WriteAll(t.Context(), "large", want[1:], opts), gcerrors.FailedPrecondition)
	got, err := b.ReadAll(t.Context(), "large")
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

func deleted(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	b := open(t)
	put(t, b, "d/1", "1")
	put(t, b, "d/2", "2")
	if err := b.Delete(t.Context(), "d/1"); err != nil {
		t.Fatal(err)
	}
	_, err := b.ReadAll(t.Context(), "d/1")
	wantCode(t, err, gcerrors.NotFound)
	if got := keys(t, b, "", "/"); !slices.Equal(got, []string{"d/"}) {
		t.Fatal(got)
	}
	if err := b.Delete(t.Context(), "d/2"); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, b, "", "/"); len(got) > 0 {
		t.Fatalf("an empty directory is listed: %q", got)
	}
	put(t, b, "d/1", "again")
}
