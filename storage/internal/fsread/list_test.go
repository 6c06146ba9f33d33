package fsread_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/storage/internal/fsread"
)

// counting is a file system that counts the names read from its directories.
type counting struct {
	fs.FS
	names int
}

func (c *counting) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	if rd, ok := f.(fs.ReadDirFile); ok && err == nil {
		return &countingDir{rd, c}, nil
	}
	return f, err
}

type countingDir struct {
	fs.ReadDirFile
	c *counting
}

func (d *countingDir) ReadDir(n int) ([]fs.DirEntry, error) {
	list, err := d.ReadDirFile.ReadDir(n)
	d.c.names += len(list)
	return list, err
}

func files(t *testing.T, keys ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, key := range keys {
		path := filepath.Join(dir, filepath.FromSlash(key))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pages lists in pages of a size, and calls between after each.
func pages(t *testing.T, b *blob.Bucket, size int, o *blob.ListOptions, between func(page int)) (keys []string) {
	t.Helper()
	for token, n := blob.FirstPageToken, 1; len(token) > 0; n++ {
		page, next, err := b.ListPage(t.Context(), token, size, o)
		if err != nil || len(page) == 0 && n > 1 {
			t.Fatalf("page %d has %d objects: %v", n, len(page), err)
		}
		for _, o := range page {
			keys = append(keys, o.Key)
		}
		if token = next; between != nil {
			between(n)
		}
	}
	return keys
}

// TestListReadsOnce: a directory's names are read once, whatever the number of pages; levels of
// directories cost their own names.
func TestListReadsOnce(t *testing.T) {
	var keys []string
	for i := range 2000 {
		keys = append(keys, fmt.Sprintf("seg/%06d", i))
	}
	for i := range 40 {
		for j := range 50 {
			keys = append(keys, fmt.Sprintf("log/%03d/%03d", i, j))
		}
	}
	slices.Sort(keys)
	c := &counting{FS: os.DirFS(files(t, keys...))}
	b := blob.NewBucket(fsread.New(c))
	for _, size := range []int{20, 1000, 4000} {
		c.names = 0
		if got := pages(t, b, size, nil, nil); !slices.Equal(got, keys) {
			t.Fatalf("%d keys of %d in pages of %d", len(got), len(keys), size)
		}
		if most := len(keys) + 100; c.names > most {
			t.Errorf("pages of %d: %d names were read for %d keys", size, c.names, len(keys))
		}
	}
	c.names = 0
	if got := pages(t, b, 7, &blob.ListOptions{Prefix: "log/", Delimiter: "/"}, nil); len(got) != 40 || got[39] != "log/039/" {
		t.Errorf("directories %v", got)
	}
	if c.names > 40+40*50 {
		t.Errorf("%d names were read for 40 directories", c.names)
	}
}

// TestListInterleaved: more listings than are remembered, each a page at a time in turn, some of
// them given up; one that begins after a file was written has it, even where another one that was
// begun before has reached the same key.
func TestListInterleaved(t *testing.T) {
	var keys []string
	for i := range 60 {
		keys = append(keys, fmt.Sprintf("d%d/%02d", i%3, i))
	}
	slices.Sort(keys)
	dir := files(t, keys...)
	b := blob.NewBucket(fsread.New(os.DirFS(dir)))
	type listing struct {
		token []byte
		keys  []string
	}
	all := make([]listing, 20)
	for i := range all {
		all[i].token = blob.FirstPageToken
	}
	for range 20 {
		for i := range all {
			if len(all[i].token) == 0 || i%4 == 3 && len(all[i].keys) > 0 {
				continue
			}
			page, next, err := b.ListPage(t.Context(), all[i].token, 5, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page {
				all[i].keys = append(all[i].keys, o.Key)
			}
			all[i].token = next
		}
	}
	for i, l := range all {
		if i%4 != 3 && !slices.Equal(l.keys, keys) {
			t.Errorf("listing %d: %v", i, l.keys)
		}
	}
	_, old, err := b.ListPage(t.Context(), blob.FirstPageToken, 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d2", "99"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := pages(t, b, 5, nil, func(n int) {
		if n == 1 {
			if _, _, err := b.ListPage(t.Context(), old, 5, nil); err != nil {
				t.Fatal(err)
			}
		}
	})
	if !slices.Contains(got, "d2/99") {
		t.Error("a listing misses what was written before it began")
	}
}

// TestListDeleted: files that are deleted while they are listed are passed over.
func TestListDeleted(t *testing.T) {
	dir := files(t, "a/1", "a/2", "a/3", "b/1", "b/2", "c")
	b := blob.NewBucket(fsread.New(os.DirFS(dir)))
	got := pages(t, b, 2, nil, func(n int) {
		if n == 1 {
			if err := os.RemoveAll(filepath.Join(dir, "b")); err != nil {
				t.Fatal(err)
			}
		}
	})
	if want := []string{"a/1", "a/2", "a/3", "c"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

var errDisk = errors.New("the disk says no")

type failing struct{ fs.FS }

func (f failing) Open(name string) (fs.File, error) {
	if name == "a" {
		return nil, errDisk
	}
	return f.FS.Open(name)
}

// TestListError: a directory that can't be read is an error, and no end of the list.
func TestListError(t *testing.T) {
	b := blob.NewBucket(fsread.New(failing{os.DirFS(files(t, "a/1", "b"))}))
	it := b.List(nil)
	if o, err := it.Next(t.Context()); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v, %v", o, err)
	}
}
