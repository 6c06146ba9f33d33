package storage

import (
	"context"
	"iter"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/storage/segment"
)

// Snapshot is a restore point, read on demand. Safe for concurrent use. Every byte it returns was checked against the manifest.
type Snapshot struct{}

// Info is the snapshot's summary.
func (s *Snapshot) Info() Info { panic("TODO") }

// Topics yields every incarnation the snapshot knows (deleted ones included: Topic.Deleted), by topic ID.
func (s *Snapshot) Topics(ctx context.Context) iter.Seq2[Topic, error] { panic("TODO") }

// Partitions yields the newest history of each partition of a topic, by partition.
func (s *Snapshot) Partitions(ctx context.Context, id kadm.TopicID) iter.Seq2[PartitionState, error] {
	panic("TODO")
}

// Histories yields all histories of a partition, oldest first.
func (s *Snapshot) Histories(ctx context.Context, p segment.Partition) iter.Seq2[PartitionState, error] {
	panic("TODO")
}

// Runs yields the runs of a partition's history whose end is beyond from, by base offset.
func (s *Snapshot) Runs(ctx context.Context, p segment.Partition, history int32, from int64) iter.Seq2[Run, error] {
	panic("TODO")
}

// Groups yields the consumer groups by name.
func (s *Snapshot) Groups(ctx context.Context) iter.Seq2[Group, error] { panic("TODO") }

// Cluster returns what the snapshot holds of the cluster itself.
func (s *Snapshot) Cluster(ctx context.Context) (Cluster, error) { panic("TODO") }

// Objects yields the segments that the snapshot names.
func (s *Snapshot) Objects(ctx context.Context) iter.Seq2[Object, error] { panic("TODO") }

// CheckObjects checks that every object the snapshot names exists and has its size. Errors are *[DamageError], joined.
func (s *Snapshot) CheckObjects(ctx context.Context) error { panic("TODO") }

// Cursor reads one partition's history in offset order, frame by frame.
type Cursor struct{}

// CursorOptions bound a Cursor.
type CursorOptions struct {
	// ReadAhead is how many frames are read before they are asked for. Default 1.
	ReadAhead int
}

// Cursor starts reading at the batch that holds from, or the first one behind it, and ends before end.
// Close it when done.
func (s *Snapshot) Cursor(ctx context.Context, p segment.Partition, history int32, from, end int64, o CursorOptions) *Cursor {
	panic("TODO")
}

// Next returns the next batch, whether it belongs to an aborted transaction, or io.EOF. The batch is valid until
// the next call. A batch can begin before from and end behind end.
func (c *Cursor) Next() (b segment.Batch, aborted bool, err error) { panic("TODO") }

// Close releases what the cursor holds.
func (c *Cursor) Close() { panic("TODO") }
