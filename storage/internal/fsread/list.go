package fsread

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gocloud.dev/blob/driver"
)

const defaultPage = 10000

// ListPaged implements driver.Bucket. A page token is the last key of the page before, and the
// number of the walk that goes on behind it.
func (b *Bucket) ListPaged(ctx context.Context, opts *driver.ListOptions) (*driver.ListPage, error) {
	if opts.BeforeList != nil {
		if err := opts.BeforeList(func(any) bool { return false }); err != nil {
			return nil, err
		}
	}
	if opts.Delimiter != "" && opts.Delimiter != "/" {
		return nil, &fs.PathError{Op: "list", Path: opts.Prefix, Err: fs.ErrInvalid}
	}
	key, number, _ := strings.Cut(string(opts.PageToken), "\x00")
	w := b.walks.take(number)
	if w == nil || w.prefix != opts.Prefix || w.flat != (opts.Delimiter == "") {
		w = &walk{fsys: b.fsys, prefix: opts.Prefix, flat: opts.Delimiter == "", after: key}
		if err := w.enter(opts.Prefix[:strings.LastIndex(opts.Prefix, "/")+1]); err != nil {
			return nil, err
		}
	}
	limit := opts.PageSize
	if limit <= 0 {
		limit = defaultPage
	}
	page := &driver.ListPage{}
	for len(page.Objects) < limit {
		o, err := w.next(ctx)
		if errors.Is(err, io.EOF) {
			return page, nil
		}
		if err != nil {
			return nil, err
		}
		page.Objects = append(page.Objects, o)
	}
	var err error
	if w.ahead, err = w.next(ctx); errors.Is(err, io.EOF) {
		return page, nil
	} else if err != nil {
		return nil, err
	}
	last := page.Objects[limit-1].Key
	page.NextPageToken = []byte(last + "\x00" + b.walks.keep(w))
	return page, nil
}

// keptWalks bounds how many listings can be in the middle at once without reading a directory
// again.
const keptWalks = 8

// walks are listings between two pages: a directory is read and sorted once, whatever the number of
// its pages. A walk belongs to the one token that was given out with it, so no listing goes on with
// names that were read before it began.
type walks struct {
	mu    sync.Mutex
	count uint64
	kept  []*walk
}

func (ws *walks) keep(w *walk) (number string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.count++
	w.number = strconv.FormatUint(ws.count, 10)
	if len(ws.kept) == keptWalks {
		ws.kept = slices.Delete(ws.kept, 0, 1)
	}
	ws.kept = append(ws.kept, w)
	return w.number
}

// take returns the walk of a token, or nil where it was let go, or there is none.
func (ws *walks) take(number string) *walk {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	i := slices.IndexFunc(ws.kept, func(w *walk) bool { return w.number == number })
	if i < 0 {
		return nil
	}
	w := ws.kept[i]
	ws.kept = slices.Delete(ws.kept, i, i+1)
	return w
}

// walk goes through files and directories in the order of their keys.
type walk struct {
	fsys   fs.FS
	number string
	prefix string
	flat   bool
	after  string // keys up to it are passed over
	open   []level
	ahead  *driver.ListObject // the next one, where it is known
}

// level is a directory, "" or one that ends in a slash, with the names in it that are left.
type level struct {
	dir   string
	names []string
}

func (w *walk) enter(dir string) error {
	names, err := readDir(w.fsys, dir)
	if err == nil && len(names) > 0 {
		w.open = append(w.open, level{dir, names})
	}
	return err
}

// next is the next object, or io.EOF.
func (w *walk) next(ctx context.Context) (*driver.ListObject, error) {
	if o := w.ahead; o != nil {
		w.ahead = nil
		return o, nil
	}
	for len(w.open) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l := &w.open[len(w.open)-1]
		if len(l.names) == 0 {
			w.open = w.open[:len(w.open)-1]
			continue
		}
		key := l.dir + l.names[0]
		l.names = l.names[1:]
		if o, err := w.visit(key); o != nil || err != nil {
			return o, err
		}
	}
	return nil, io.EOF
}

// visit returns an object if the key is listed, and enters a directory if what is below it is.
func (w *walk) visit(key string) (*driver.ListObject, error) {
	within, dir := strings.HasPrefix(key, w.prefix), strings.HasSuffix(key, "/")
	switch {
	case !within && (!dir || !strings.HasPrefix(w.prefix, key)):
		return nil, nil
	case !dir:
		return w.file(key)
	case key <= w.after && !strings.HasPrefix(w.after, key):
		return nil, nil // every key below comes before
	case !w.flat && within:
		if key <= w.after || !hasFile(w.fsys, key) {
			return nil, nil
		}
		return &driver.ListObject{Key: key, IsDir: true}, nil
	}
	return nil, w.enter(key)
}

func (w *walk) file(key string) (*driver.ListObject, error) {
	if key <= w.after {
		return nil, nil
	}
	info, err := fs.Stat(w.fsys, key)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, nil // deleted since
	}
	if err != nil {
		return nil, err
	}
	return &driver.ListObject{Key: key, ModTime: info.ModTime(), Size: info.Size()}, nil
}

// readDir lists files and directories in the order of the keys below them: a directory's name ends
// in a slash.
func readDir(fsys fs.FS, dir string) ([]string, error) {
	var names []string
	err := eachName(fsys, dir, func(name string) bool {
		names = append(names, name)
		return true
	})
	slices.SortFunc(names, cmp.Compare[string])
	return names, err
}

// namesAtOnce is how many names of a directory are read at once: what is kept of each is its name
// alone.
const namesAtOnce = 256

// eachName calls f with the names in a directory that can be keys, in no order, until it returns
// false. A directory that isn't there has none.
func eachName(fsys fs.FS, dir string, f func(name string) bool) error {
	path := strings.TrimSuffix(dir, "/")
	if path == "" {
		path = "."
	}
	if !fs.ValidPath(path) {
		return nil
	}
	d, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = readNames(d, f)
		_ = d.Close()
	}
	if err != nil {
		// Not a directory: nothing lies below it.
		if info, e := fs.Stat(fsys, path); e == nil && !info.IsDir() {
			return nil
		}
	}
	return err
}

func readNames(d fs.File, f func(name string) bool) error {
	rd, ok := d.(fs.ReadDirFile)
	if !ok {
		return errors.New("not a directory")
	}
	for {
		list, err := rd.ReadDir(namesAtOnce)
		for _, e := range list {
			name := e.Name()
			if strings.HasPrefix(name, ".") || !e.IsDir() && !e.Type().IsRegular() {
				continue
			}
			if e.IsDir() {
				name += "/"
			}
			if !f(name) {
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// hasFile says whether a file lies anywhere below dir.
func hasFile(fsys fs.FS, dir string) bool {
	var dirs []string
	found := false
	err := eachName(fsys, dir, func(name string) bool {
		if found = !strings.HasSuffix(name, "/"); !found {
			dirs = append(dirs, name)
		}
		return !found
	})
	if err != nil || found {
		return true // let who reads a directory that can't be read see the error
	}
	return slices.ContainsFunc(dirs, func(name string) bool { return hasFile(fsys, dir+name) })
}
