package storage

import (
	"context"
	"time"

	"github.com/kafkadr/kafkadr/storage/segment"
)

// Writer is the one writer of a lineage, until another claims it. Its methods aren't safe for concurrent use,
// except that segments can be written while others are.
type Writer struct{}

// WriterConfig says who writes.
type WriterConfig struct {
	// Owner names the writer in errors of those it fences. Default: host name and process ID.
	Owner string
	// Kind is what the claim is for: backup, follow, sweep. Default backup.
	Kind string
	// Segment are the options of new segments.
	Segment segment.Options
}

// NewWriter claims the next generation of the lineage: every older writer gets a *[FencedError] at its next Commit.
func (a *Archive) NewWriter(ctx context.Context, l Lineage, cfg WriterConfig) (*Writer, error) {
	panic("TODO")
}

// Snapshot is the state that the next commit builds on; nil in a new lineage.
func (w *Writer) Snapshot() *Snapshot { panic("TODO") }

// SegmentWriter writes one segment object. Not safe for concurrent use.
type SegmentWriter struct{}

// NewSegment starts an object; nothing refers to it before Commit.
func (w *Writer) NewSegment(ctx context.Context) (*SegmentWriter, error) { panic("TODO") }

// Append adds a batch to the history of a partition.
func (s *SegmentWriter) Append(p segment.Partition, b segment.Batch) error { panic("TODO") }

// Aborted notes aborted transactions of the partition's run in this object.
func (s *SegmentWriter) Aborted(p segment.Partition, txns ...segment.AbortedTxn) error { panic("TODO") }

// Size is the object's length so far, nearly.
func (s *SegmentWriter) Size() int64 { panic("TODO") }

// Close makes the object durable and returns its runs, to be named in a Change.
func (s *SegmentWriter) Close() (*Closed, error) { panic("TODO") }

// Abort drops the object.
func (s *SegmentWriter) Abort() { panic("TODO") }

// Closed is a durable segment that no manifest names yet.
type Closed struct {
	Object Object
	Runs   []segment.RunInfo
}

// Change is what a commit adds to the state before it.
type Change struct {
	// CreatedAt is the time of the cut. Required.
	CreatedAt time.Time
	// Flush commits data alone.
	Flush bool
	// Segments are the closed segments to name; each run joins the history that Partitions names for
	// its partition.
	Segments []*Closed
	// Partitions are the states that changed: identity, History, StartOffset, EndOffset, FirstOffset, LeaderEpoch,
	// Holes, Fault and Truncated are taken; counts are kept by Commit from the runs.
	Partitions []PartitionState
	// Topics are new and changed ones.
	Topics []Topic
	// Groups replaces all groups, where not nil. Full snapshots only.
	Groups []Group
	// Cluster replaces the cluster's data, where not nil. Full snapshots only.
	Cluster *Cluster
	// Incomplete marks the snapshot.
	Incomplete bool
}

// Commit writes the manifest, create-only and last. Before anything is written it checks that every run chains:
// it begins at or beyond the end of its history, and every offset in between is in a hole. It fails with a *[FencedError] (errors.Is [ErrFenced]) when
// another writer has claimed the lineage. A failed Commit commits nothing that a reader sees, or, if the store says failure
// after success, is found to have succeeded.
func (w *Writer) Commit(ctx context.Context, c Change) (Info, error) { panic("TODO") }
