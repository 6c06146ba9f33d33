package restore

import (
	"context"
	"iter"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage"
)

// Query selects records of a snapshot.
type Query struct {
	// Topic is the topic's name. Required.
	Topic string
	// Partitions; default all.
	Partitions []int32
	// Offset is the first offset, in each partition. Default: the start.
	Offset int64
	// Until keeps records with a timestamp at or before it. Default all.
	Until time.Time
	// Uncommitted yields records of aborted transactions as well.
	Uncommitted bool
}

// Records yields the records of a snapshot, partition by partition in offset order, with no cluster.
func Records(ctx context.Context, s *storage.Snapshot, q Query) iter.Seq2[*kgo.Record, error] {
	panic("TODO")
}
