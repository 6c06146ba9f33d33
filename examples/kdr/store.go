package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"gocloud.dev/blob"

	// The stores that a URL can name, beside file.
	_ "gocloud.dev/blob/azureblob"
	_ "gocloud.dev/blob/gcsblob"
	_ "gocloud.dev/blob/s3blob"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/filestore"
)

// storeFlags say where the archive is.
type storeFlags struct {
	url string
	at  *url.URL
}

func (f *storeFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.url, "store", "", "where the archive is: file:///DIR, s3://BUCKET?region=…&prefix=a/, gs://BUCKET, azblob://CONTAINER (required)")
}

// check finds what is wrong with the URL without any I/O.
func (f *storeFlags) check(a *app) {
	if f.url == "" {
		a.fault("--store is required")
		return
	}
	u, err := url.Parse(f.url)
	if err != nil {
		a.fault("--store: not a URL")
		return
	}
	if err := checkStoreURL(u); err != nil {
		a.fault("--store: %v", err)
		return
	}
	f.at = u
}

func checkStoreURL(u *url.URL) error {
	schemes := blob.DefaultURLMux().BucketSchemes()
	switch {
	case u.Scheme == "":
		return fmt.Errorf("want a URL such as file:///backups, got %q", u.Path)
	case u.Scheme == "file":
		return checkFileURL(u)
	case u.Scheme == "mem":
		return errors.New("what is in mem:// is gone when the command ends: want file, s3, gs, azblob")
	case !slices.Contains(schemes, u.Scheme):
		return fmt.Errorf("unknown scheme %q: want file, %s", u.Scheme, strings.Join(schemes, ", "))
	case u.Host == "":
		return fmt.Errorf("no bucket in %s://", u.Scheme)
	}
	return nil
}

// checkPrefix refuses a prefix without a slash at its end, unless an archive was begun with it:
// prefix=a would name objects aarchive, al/… beside those of prefix=a/.
func (f *storeFlags) checkPrefix(ctx context.Context, bucket *blob.Bucket) error {
	prefix := f.at.Query().Get("prefix")
	if prefix == "" || strings.HasSuffix(prefix, "/") {
		return nil
	}
	there, err := has(ctx, bucket, "archive")
	if there || err != nil {
		return err
	}
	return &usageError{faults: []string{fmt.Sprintf("--store: no archive has the prefix %q, and a new one ends in a slash: say prefix=%s/", prefix, prefix)}}
}

// explainPrefix says where the archive is, if its prefix is the one given but for the slash.
func (f *storeFlags) explainPrefix(ctx context.Context, err error) error {
	prefix := f.at.Query().Get("prefix")
	if !errors.Is(err, storage.ErrNoArchive) || !strings.HasSuffix(prefix, "/") {
		return err
	}
	other := storeFlags{at: new(url.URL)}
	*other.at = *f.at
	q := f.at.Query()
	q.Set("prefix", strings.TrimSuffix(prefix, "/"))
	other.at.RawQuery = q.Encode()
	other.url = other.at.String()
	bucket, openErr := other.bucket(ctx, reading)
	if openErr != nil {
		return err
	}
	defer func() { _ = bucket.Close() }()
	if there, existsErr := has(ctx, bucket, "archive"); existsErr != nil || !there {
		return err
	}
	return fmt.Errorf("%w; there is one whose prefix has no slash at its end: say prefix=%s", err, strings.TrimSuffix(prefix, "/"))
}

func checkFileURL(u *url.URL) error {
	if u.Host != "" && u.Host != "localhost" {
		return fmt.Errorf("a file URL has three slashes before an absolute path: file:///%s%s", u.Host, u.Path)
	}
	if u.Path == "" || u.Path == "/" {
		return errors.New("no directory in the file URL")
	}
	for _, key := range slices.Sorted(maps.Keys(u.Query())) {
		if key != "prefix" {
			return fmt.Errorf("file URLs have no parameter %q (prefix is one)", key)
		}
	}
	return nil
}

// use is what an archive is opened for.
type use int

const (
	reading  use = iota // an archive that exists
	existing            // the same, and to write to it
	writing             // or to begin one
)

// open opens the archive. Call the returned func when done.
func (f *storeFlags) open(ctx context.Context, a *app, how use, hooks storage.Hooks) (*storage.Archive, func(), error) {
	bucket, err := f.bucket(ctx, how)
	if err != nil {
		return nil, nil, err
	}
	if err := f.reach(ctx, bucket); err != nil {
		_ = bucket.Close()
		return nil, nil, err
	}
	if err := f.checkPrefix(ctx, bucket); err != nil {
		_ = bucket.Close()
		return nil, nil, err
	}
	arch, err := storage.Open(ctx, bucket, storage.Config{Logger: a.log, Hooks: hooks, ReadOnly: how == reading, Status: storeAnswer})
	if err != nil {
		_ = bucket.Close()
		return nil, nil, fmt.Errorf("%s: %w", f.name(), f.explainPrefix(ctx, f.explainStore(err)))
	}
	return arch, func() { _ = bucket.Close() }, nil
}

// reach asks the store once, so that a wrong address, name or key is told at
// once and not after the retries that an archive makes.
func (f *storeFlags) reach(ctx context.Context, bucket *blob.Bucket) error {
	_, _, err := bucket.ListPage(ctx, blob.FirstPageToken, 1, nil)
	if err == nil {
		return nil
	}
	var answer interface{ HTTPStatusCode() int } // S3's
	if code, _ := storeAnswer(err); code == http.StatusNotFound || errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusNotFound {
		return fmt.Errorf("%s: there is no such bucket", f.name())
	}
	return fmt.Errorf("%s: can't be reached: %w", f.name(), err)
}

func (f *storeFlags) bucket(ctx context.Context, how use) (*blob.Bucket, error) {
	if f.at.Scheme == "file" {
		return f.fileBucket(how)
	}
	bucket, err := blob.OpenBucket(ctx, f.url)
	if err != nil { // nothing was sent: parameters or local credentials are wrong
		return nil, &usageError{faults: []string{fmt.Sprintf("--store: %s", oneLine(strings.ReplaceAll(err.Error(), f.url, f.name())))}}
	}
	return bucket, nil
}

func (f *storeFlags) fileBucket(how use) (*blob.Bucket, error) {
	bucket, err := filestore.OpenBucket(filepath.FromSlash(f.at.Path), &filestore.Options{MustExist: how != writing})
	if err != nil {
		return nil, err
	}
	if prefix := f.at.Query().Get("prefix"); prefix != "" {
		bucket = blob.PrefixedBucket(bucket, prefix)
	}
	return bucket, nil
}

// name is the store for messages: without parameters and user info, which may
// hold secrets.
func (f *storeFlags) name() string {
	return f.at.Scheme + "://" + f.at.Host + f.at.Path
}

// openSnapshot opens the snapshot of that ID, or the latest one for none. A
// cluster ID chooses among the clusters of the archive.
func openSnapshot(ctx context.Context, arch *storage.Archive, id, cluster string) (*storage.Snapshot, error) {
	if id != "" {
		return arch.Snapshot(ctx, id)
	}
	var l *storage.Lineage
	if cluster != "" {
		l = &storage.Lineage{ClusterID: cluster}
	}
	s, err := arch.Latest(ctx, l)
	if err != nil && isSpoilt(err) {
		return nil, fmt.Errorf("the latest snapshot can't be opened, kdr list shows older ones that can be named: %w", err)
	}
	return s, err
}
