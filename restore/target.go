package restore

import (
	"context"
	"errors"
	"io"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// fetchBytes bounds what one look at the target reads.
const fetchBytes = 1 << 20

// targetSource yields the batches that a target partition holds, as far as the high watermark, up
// to an offset.
type targetSource struct {
	fetch    func(offset int64) ([]byte, error)
	next, to int64
	raw      []byte
}

func newTargetSource(ctx context.Context, c *rawkafka.Cluster, p rawkafka.Partition, from, to int64) *targetSource {
	fetch := func(offset int64) ([]byte, error) { return readTarget(ctx, c, p, offset) }
	return &targetSource{fetch: fetch, next: from, to: to}
}

// Next returns the next batch, or io.EOF.
func (s *targetSource) Next() (batch.Batch, bool, error) {
	if s.next >= s.to {
		return batch.Batch{}, false, io.EOF
	}
	if len(s.raw) == 0 {
		raw, err := s.fetch(s.next)
		if err != nil {
			return batch.Batch{}, false, err
		}
		if len(raw) == 0 { // what compaction took, or the high watermark
			return batch.Batch{}, false, io.EOF
		}
		s.raw = raw
	}
	b, rest, err := batch.Split(s.raw)
	if errors.Is(err, batch.ErrShort) {
		s.raw = nil
		return s.Next()
	}
	if err != nil {
		return batch.Batch{}, false, err
	}
	s.raw, s.next = rest, max(s.next, b.EndOffset())
	return b, false, nil
}

// Close has nothing to release.
func (s *targetSource) Close() {}

// readTarget reads raw batches at an offset from the partition's leader, at read_uncommitted. It
// reads none at the high watermark, and where compaction took all below.
func readTarget(ctx context.Context, c *rawkafka.Cluster, p rawkafka.Partition, offset int64) ([]byte, error) {
	a, _, err := c.Read(ctx, p, offset, rawkafka.ReadConfig{MaxBytes: fetchBytes})
	return a.RecordBatches, err
}

// one asks for a single partition's offset.
func one(ctx context.Context, c *rawkafka.Cluster, p rawkafka.Partition, at int64, replica int32) (int64, error) {
	got, err := c.ListOffsets(ctx, []rawkafka.Partition{p}, at, rawkafka.ReadUncommitted, replica)
	if err != nil {
		return 0, err
	}
	o := got[p]
	return o.Offset, o.Err
}
