package restore

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/storage"
)

// Query selects records of a snapshot.
type Query struct {
	// Topic is the topic's name. Required. Where the topic was deleted on the source, its last
	// incarnation is read.
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

// Records yields the records of a snapshot, partition by partition in offset order, with no
// cluster. They are as a consumer would have seen them: offsets, timestamps, leader epochs, keys,
// values and headers. An error ends the sequence: an [*UnknownTopicError], an
// [*UnknownPartitionError], or a [*PartitionError] that says where.
func Records(ctx context.Context, s *storage.Snapshot, q Query) iter.Seq2[*kgo.Record, error] {
	return func(yield func(*kgo.Record, error) bool) {
		t, err := findTopic(ctx, s, q.Topic)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, p := range q.Partitions {
			if p < 0 || p >= t.Partitions {
				yield(nil, &UnknownPartitionError{Topic: t.Name, Partition: p, Partitions: t.Partitions})
				return
			}
		}
		for state, err := range s.Partitions(ctx, t.ID) {
			if err != nil {
				yield(nil, err)
				return
			}
			p := state.Partition.Partition
			if len(q.Partitions) > 0 && !slices.Contains(q.Partitions, p) {
				continue
			}
			for r, err := range partitionRecords(ctx, s, t.Name, state, q) {
				if !yield(r, err) || err != nil {
					return
				}
			}
		}
	}
}

func findTopic(ctx context.Context, s *storage.Snapshot, name string) (storage.Topic, error) {
	var found storage.Topic
	for t, err := range s.Topics(ctx) {
		if err != nil {
			return found, err
		}
		if t.Name == name && (found.Name == "" || later(t, found)) {
			found = t
		}
	}
	if found.Name == "" {
		return found, &UnknownTopicError{Topic: name}
	}
	return found, nil
}

func partitionRecords(ctx context.Context, s *storage.Snapshot, topic string, state storage.PartitionState, q Query) iter.Seq2[*kgo.Record, error] {
	return func(yield func(*kgo.Record, error) bool) {
		from := max(q.Offset, state.StartOffset)
		f := copyops.Filter{Topic: topic, Partition: state.Partition.Partition, Until: q.Until}
		src := s.Cursor(ctx, state.Partition, state.History, from, state.EndOffset, storage.CursorOptions{})
		rr := &recordReader{src: src, filter: f, next: from, end: state.EndOffset, uncommitted: q.Uncommitted}
		defer src.Close()
		for {
			r, err := rr.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, &PartitionError{Job: "restore", Topic: topic, Partition: f.Partition, Offset: rr.next, Err: err})
				return
			}
			r.Topic, r.Partition = topic, f.Partition
			if !yield(r, nil) {
				return
			}
		}
	}
}

// recordReader reads the visible records of batches, in offset order.
type recordReader struct {
	src         copyops.Source
	filter      copyops.Filter
	next, end   int64
	uncommitted bool
	rs          []*kgo.Record
}

// Next returns the next record, or io.EOF.
func (rr *recordReader) Next() (*kgo.Record, error) {
	for len(rr.rs) == 0 {
		if rr.next >= rr.end {
			return nil, io.EOF
		}
		b, aborted, err := rr.src.Next()
		if err != nil {
			return nil, err
		}
		from, to := max(rr.next, b.BaseOffset()), min(rr.end, b.EndOffset())
		if from < to && !b.Control() && b.Records() > 0 && (!aborted || rr.uncommitted) {
			var late int64
			if rr.rs, err = copyops.Visible(b, &rr.filter, from, to, &late); err != nil {
				return nil, err
			}
		}
		rr.next = max(rr.next, b.EndOffset())
	}
	r := rr.rs[0]
	rr.rs = rr.rs[1:]
	return r, nil
}
