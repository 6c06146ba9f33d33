package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/storage/internal/fsread"
)

// Config is how an archive is opened. The zero value is the default.
type Config struct {
	// Logger takes what an operator may want to know. Default: nothing is logged.
	Logger *slog.Logger
	// Hooks are called at store operations.
	Hooks Hooks
	// Retries bounds how often one store operation is tried again, with backoff (50 ms, doubled up
	// to 5 s, with jitter), before its error is the job's. Default 8; negative: never.
	Retries int
	// OperationTimeout is how long the store may take for one try of an operation, and for any
	// single step of a segment's upload; what moves bytes has a second more for each 64 KiB.
	// Default 1 min.
	OperationTimeout time.Duration
	// Status reads out of an error of the bucket's driver which HTTP status the store answered, 0
	// where it is no answer, and whether a 404 certainly is of the object rather than of its
	// bucket. gocloud's codes don't tell: Google's 403 is NotFound there, as Azure's failed DNS is.
	// Default: as S3's driver tells; where nothing does, an object counts as absent only once it
	// isn't listed and the archive's marker was read after that.
	Status func(err error) (code int, object bool)
	// ReadOnly opens an archive without trying to write, for reading rights
	// alone. NewWriter and Sweep are refused.
	ReadOnly bool
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Retries == 0 {
		c.Retries = defaultRetries
	}
	if c.OperationTimeout <= 0 {
		c.OperationTimeout = defaultOperationTimeout
	}
}

// Hooks are called synchronously, from any goroutine that uses the archive; nil ones are skipped.
type Hooks struct {
	// OnRetry is called before a store operation is tried again.
	OnRetry func(op, key string, err error)
	// OnOperation is called after each try of a store operation; err is nil where it succeeded.
	// Operations are get, put, list, stat and delete.
	OnOperation func(op, key string, bytes int64, err error)
}

// Archive is a backup repository in a bucket. Safe for concurrent use.
type Archive struct {
	b     *blob.Bucket
	cfg   Config
	log   *slog.Logger
	cache *blockCache
	// ahead has a place for each read that is made before it is waited for.
	ahead chan struct{}
}

const (
	formatVersion = 1
	markerText    = "kafkadr archive\nformat "
	maxMarker     = 64
)

// Open opens the archive in b, which stays the caller's, or starts one in an empty bucket. It tries
// create-only on a real key and refuses a store that ignores it with [ErrNotCreateOnly]. A bucket
// that has objects and no format marker is refused with [ErrNoArchive], as is an empty one with
// Config.ReadOnly; a format of a later version is a *[VersionError], an archive whose marker is
// gone a *[DamageError].
func Open(ctx context.Context, b *blob.Bucket, cfg Config) (*Archive, error) {
	cfg.setDefaults()
	a := &Archive{b: b, cfg: cfg, log: cfg.Logger, cache: newBlockCache(), ahead: make(chan struct{}, readsAhead)}
	if err := a.open(ctx); err != nil {
		return nil, fmt.Errorf("storage: open: %w", err)
	}
	return a, nil
}

// OpenFS opens an archive read-only in a file system: an embed.FS, a directory, a zip file.
func OpenFS(fsys fs.FS) (*Archive, error) {
	return Open(context.Background(), blob.NewBucket(fsread.New(fsys)), Config{ReadOnly: true, Retries: -1})
}

func (a *Archive) open(ctx context.Context) error {
	err := a.checkMarker(ctx, false)
	switch {
	case err == nil && a.cfg.ReadOnly:
		return nil
	case isAbsent(err):
		if err := a.checkEmpty(ctx); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	return a.probe(ctx)
}

// checkEmpty looks whether an archive may be started here.
func (a *Archive) checkEmpty(ctx context.Context) error {
	for o, err := range a.list(ctx, lineagesDir, "/") {
		if err != nil {
			return err
		}
		if isFolder(o) {
			continue
		}
		if err := a.checkMarker(ctx, true); !isAbsent(err) {
			return err
		}
		return &DamageError{Object: markerKey, Err: errMissing}
	}
	if a.cfg.ReadOnly {
		return ErrNoArchive
	}
	for o, err := range a.list(ctx, "", "") {
		if err != nil {
			return err
		}
		if isFolder(o) {
			continue
		}
		if err := a.checkMarker(ctx, false); err == nil || !isAbsent(err) {
			return err // started by somebody else in between
		}
		return fmt.Errorf("%w, but objects (%s)", ErrNoArchive, o.Key)
	}
	return nil
}

func marker() []byte { return fmt.Appendf(nil, "%s%d\n", markerText, formatVersion) }

// checkMarker reads the format marker; must says that it has to be there.
func (a *Archive) checkMarker(ctx context.Context, must bool) error {
	raw, size, err := a.readRange(ctx, markerKey, must, 0, maxMarker)
	if err != nil {
		return err
	}
	digits, ok := strings.CutPrefix(string(raw), markerText)
	version, err := strconv.Atoi(strings.TrimSuffix(digits, "\n"))
	switch {
	case !ok || size > maxMarker || err != nil:
		return &DamageError{Object: markerKey, Err: errors.New("not a format marker")}
	case version > formatVersion:
		return &VersionError{Object: markerKey, Version: version}
	case string(raw) != string(marker()):
		return &DamageError{Object: markerKey, Err: errors.New("not a format marker")}
	}
	return nil
}

// probe writes the format marker create-only, with the bytes that it has anyway. A store that lets
// it be written over is found and has done no harm, and nothing is left to clean up.
func (a *Archive) probe(ctx context.Context) error {
	for range 2 {
		err := a.retry(ctx, "put", markerKey, func(ctx context.Context) error {
			err := a.putOnce(ctx, markerKey, marker())
			a.operation("put", markerKey, int64(len(marker())), err)
			return err
		})
		if isConflict(err) {
			return a.checkMarker(ctx, true)
		}
		if err != nil {
			return err
		}
	}
	return ErrNotCreateOnly
}

// Lineage is one source cluster's history in an archive.
type Lineage struct {
	// ClusterID is the source cluster's ID, 1 to 128 bytes.
	ClusterID string
}

// Lineages lists the clusters that the archive holds, sorted by cluster ID.
func (a *Archive) Lineages(ctx context.Context) ([]Lineage, error) {
	var ls []Lineage
	for o, err := range a.list(ctx, lineagesDir, "/") {
		if err != nil {
			return nil, fmt.Errorf("storage: lineages: %w", err)
		}
		if l, ok := parseLineage(o.Key); ok {
			ls = append(ls, l)
		}
	}
	sortLineages(ls)
	return ls, nil
}

// Latest opens the lineage's newest commit that is complete (a full snapshot or a flush). A nil
// lineage takes the archive's only one; more than one is a *[LineageError]. None: [ErrNoSnapshot].
// An older snapshot is never passed off as the latest: where the manifest of a later full one is
// gone, that is a *[DamageError].
func (a *Archive) Latest(ctx context.Context, l *Lineage) (*Snapshot, error) {
	if l == nil {
		ls, err := a.Lineages(ctx)
		if err != nil {
			return nil, err
		}
		if len(ls) == 0 {
			return nil, ErrNoSnapshot
		}
		if len(ls) > 1 {
			return nil, &LineageError{Lineages: ls}
		}
		l = &ls[0]
	}
	s, err := a.newest(ctx, *l, true)
	if err != nil {
		return nil, fmt.Errorf("storage: latest: %w", err)
	}
	return s, nil
}

// newest opens the last commit, or the last complete one. None: ErrNoSnapshot.
func (a *Archive) newest(ctx context.Context, l Lineage, complete bool) (*Snapshot, error) {
	if err := l.validate(); err != nil {
		return nil, err
	}
	head, err := a.head(ctx, l)
	if err != nil {
		return nil, err
	}
	if head == nil {
		return nil, ErrNoSnapshot
	}
	e, err := a.commitAt(ctx, l, head, complete)
	if err != nil {
		return nil, err
	}
	if err := a.lostSnapshot(ctx, l, e, head.Sequence); err != nil {
		return nil, err
	}
	if e == nil {
		return nil, ErrNoSnapshot
	}
	return a.snapshot(l, e), nil
}

// Snapshot opens a snapshot by ID (Info.ID), of any lineage, complete or not. Unknown:
// [ErrNoSnapshot].
func (a *Archive) Snapshot(ctx context.Context, id string) (*Snapshot, error) {
	sequence, ok := parseSnapshotID(id)
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrNoSnapshot, id)
	}
	ls, err := a.Lineages(ctx)
	if err != nil {
		return nil, err
	}
	var damage error
	for _, l := range ls {
		e, err := a.readEntry(ctx, l, sequence, true)
		switch {
		case isAbsent(err):
			damage = errors.Join(damage, a.missingEntry(ctx, l, sequence))
		case err != nil:
			damage = errors.Join(damage, err)
		case e.Kind == kindCommit && e.Info.ID == id:
			return a.snapshot(l, e), nil
		}
	}
	if damage != nil {
		return nil, fmt.Errorf("storage: snapshot %s: %w", id, damage)
	}
	return nil, fmt.Errorf("%w: %q", ErrNoSnapshot, id)
}
