package fsread

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"gocloud.dev/blob/driver"
)

const defaultPage = 10000

// ListPaged implements driver.Bucket. The page token is the last key of the page before.
func (b *Bucket) ListPaged(ctx context.Context, opts *driver.ListOptions) (*driver.ListPage, error) {
	if opts.BeforeList != nil {
		if err := opts.BeforeList(func(any) bool { return false }); err != nil {
			return nil, err
		}
	}
	if opts.Delimiter != "" && opts.Delimiter != "/" {
		return nil, &fs.PathError{Op: "list", Path: opts.Prefix, Err: fs.ErrInvalid}
	}
	l := &lister{
		ctx: ctx.Err, fsys: b.fsys, prefix: opts.Prefix, flat: opts.Delimiter == "",
		token: string(opts.PageToken), limit: opts.PageSize, page: &driver.ListPage{},
	}
	if l.limit <= 0 {
		l.limit = defaultPage
	}
	dir := opts.Prefix[:strings.LastIndex(opts.Prefix, "/")+1]
	if err := l.dir(dir); err != nil && !errors.Is(err, errFull) {
		return nil, err
	}
	return l.page, nil
}

type lister struct {
	ctx           func() error
	fsys          fs.FS
	prefix, token string
	flat          bool
	limit         int
	page          *driver.ListPage
}

var errFull = errors.New("page is full")

// dir lists a directory, "" or one that ends in a slash.
func (l *lister) dir(dir string) error {
	names, err := readDir(l.fsys, dir)
	if err != nil {
		return err
	}
	for _, e := range names {
		if err := l.ctx(); err != nil {
			return err
		}
		if err := l.entry(dir+e.key, e.DirEntry); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) entry(key string, e fs.DirEntry) error {
	within := strings.HasPrefix(key, l.prefix)
	switch {
	case !within && (!e.IsDir() || !strings.HasPrefix(l.prefix, key)):
		return nil
	case !e.IsDir():
		return l.file(key, e)
	case key <= l.token && !strings.HasPrefix(l.token, key):
		return nil // every key below comes before the token
	case !l.flat && within:
		if key <= l.token || !hasFile(l.fsys, key) {
			return nil
		}
		return l.add(&driver.ListObject{Key: key, IsDir: true})
	}
	return l.dir(key)
}

func (l *lister) file(key string, e fs.DirEntry) error {
	if key <= l.token {
		return nil
	}
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted since
	}
	if err != nil {
		return err
	}
	return l.add(&driver.ListObject{Key: key, ModTime: info.ModTime(), Size: info.Size()})
}

func (l *lister) add(o *driver.ListObject) error {
	if n := len(l.page.Objects); n == l.limit {
		l.page.NextPageToken = []byte(l.page.Objects[n-1].Key)
		return errFull
	}
	l.page.Objects = append(l.page.Objects, o)
	return nil
}

type entry struct {
	fs.DirEntry
	key string
}

// readDir lists files and directories in the order of the keys below them: a directory's name counts with its slash.
func readDir(fsys fs.FS, dir string) ([]entry, error) {
	path := strings.TrimSuffix(dir, "/")
	if path == "" {
		path = "."
	}
	if !fs.ValidPath(path) {
		return nil, nil
	}
	list, err := fs.ReadDir(fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		// Not a directory: nothing lies below it.
		if info, e := fs.Stat(fsys, path); e == nil && !info.IsDir() {
			return nil, nil
		}
		return nil, err
	}
	var entries []entry
	for _, e := range list {
		name := e.Name()
		if strings.HasPrefix(name, ".") || !e.IsDir() && !e.Type().IsRegular() {
			continue
		}
		if e.IsDir() {
			name += "/"
		}
		entries = append(entries, entry{e, name})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	return entries, nil
}

// hasFile says whether a file lies anywhere below dir.
func hasFile(fsys fs.FS, dir string) bool {
	entries, err := readDir(fsys, dir)
	if err != nil {
		return true // let who reads it see the error
	}
	for _, e := range entries {
		if !e.IsDir() || hasFile(fsys, dir+e.key) {
			return true
		}
	}
	return false
}
