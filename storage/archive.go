package storage

import (
	"context"
	"io/fs"
	"iter"
	"log/slog"

	"gocloud.dev/blob"
)

// Config is how an archive is opened. The zero value is the default.
type Config struct {
	// Logger takes what an operator may want to know. Default: nothing is logged.
	Logger *slog.Logger
	// Hooks are called at store operations.
	Hooks Hooks
	// Retries bounds how often one store operation is tried again, with
	// backoff, before its error is the job's. Default 8.
	Retries int
	// ReadOnly opens an archive without trying to write, for reading rights
	// alone. NewWriter and Sweep are refused.
	ReadOnly bool
}

// Hooks are called synchronously; nil ones are skipped.
type Hooks struct {
	// OnRetry is called before a store operation is tried again.
	OnRetry func(op, key string, err error)
	// OnOperation is called after each store operation; err is nil where it succeeded.
	OnOperation func(op, key string, bytes int64, err error)
}

// Archive is a backup repository in a bucket. Safe for concurrent use.
type Archive struct{}

// Open opens the archive in b, which stays the caller's, or starts one in an
// empty bucket. It tries create-only on a real key and refuses a store that ignores it with [ErrNotCreateOnly].
func Open(ctx context.Context, b *blob.Bucket, cfg Config) (*Archive, error) { panic("TODO") }

// OpenFS opens an archive read-only in a file system: an embed.FS, a directory, a zip file.
func OpenFS(fsys fs.FS) (*Archive, error) { panic("TODO") }

// Lineage is one source cluster's history in an archive.
type Lineage struct {
	// ClusterID is the source cluster's ID.
	ClusterID string
}

// Lineages lists the clusters that the archive holds, sorted by cluster ID.
func (a *Archive) Lineages(ctx context.Context) ([]Lineage, error) { panic("TODO") }

// Snapshots yields the snapshots of a lineage, oldest first; the last one may be a flush
// (Info.Flush), where a follower committed data after its last full snapshot.
func (a *Archive) Snapshots(ctx context.Context, l Lineage) iter.Seq2[Info, error] { panic("TODO") }

// Latest opens the lineage's newest commit that is complete (a full snapshot or a flush).
// A nil lineage takes the archive's only one; more than one is a *[LineageError].
func (a *Archive) Latest(ctx context.Context, l *Lineage) (*Snapshot, error) { panic("TODO") }

// Snapshot opens a snapshot by ID (Info.ID), of any lineage, complete or not. Unknown: [ErrNoSnapshot].
func (a *Archive) Snapshot(ctx context.Context, id string) (*Snapshot, error) { panic("TODO") }
