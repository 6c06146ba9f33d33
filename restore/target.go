package restore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// fetchBytes bounds what one look at the target reads.
const fetchBytes = 1 << 20

// targetSource yields the batches that a target partition holds, as far as the high watermark, up to an offset.
type targetSource struct {
	fetch    func(offset int64) ([]byte, error)
	next, to int64
	raw      []byte
}

func newTargetSource(ctx context.Context, c *rawkafka.Cluster, p rawkafka.Partition, from, to int64) *targetSource {
	fetch := func(offset int64) ([]byte, error) { return fetchTarget(ctx, c, p, offset) }
	return &targetSource{fetch: fetch, next: from, to: to}
}

// Next returns the next batch, or io.EOF.
func (s *targetSource) Next() (segment.Batch, bool, error) {
	if s.next >= s.to {
		return segment.Batch{}, false, io.EOF
	}
	if len(s.raw) == 0 {
		raw, err := s.fetch(s.next)
		if err != nil {
			return segment.Batch{}, false, err
		}
		if len(raw) == 0 { // what compaction or DeleteRecords took, or the high watermark
			return segment.Batch{}, false, io.EOF
		}
		s.raw = raw
	}
	b, rest, err := segment.SplitBatch(s.raw)
	if errors.Is(err, segment.ErrShortBatch) {
		s.raw = nil
		return s.Next()
	}
	if err != nil {
		return segment.Batch{}, false, err
	}
	s.raw, s.next = rest, max(s.next, b.EndOffset())
	return b, false, nil
}

// Close has nothing to release.
func (s *targetSource) Close() {}

// fetchTarget reads raw batches at an offset from the partition's leader, at read_uncommitted.
func fetchTarget(ctx context.Context, c *rawkafka.Cluster, p rawkafka.Partition, offset int64) ([]byte, error) {
	for n := 0; ; n++ {
		raw, err := fetchOnce(ctx, c, p, offset)
		if err == nil || ctx.Err() != nil || n >= maxFetches || !rawkafka.Retriable(err) {
			return raw, err
		}
		c.Forget(p)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return nil, err
		}
	}
}

const maxFetches = 8

func fetchOnce(ctx context.Context, c *rawkafka.Cluster, p rawkafka.Partition, offset int64) ([]byte, error) {
	leader, _, err := c.Leader(ctx, p)
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes, req.SessionEpoch = fetchBytes, 0, -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = p.Topic, p.TopicID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p.Partition, offset, fetchBytes
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	kresp, err := c.Request(ctx, leader, req)
	if err != nil {
		return nil, err
	}
	resp := kresp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	for _, t := range resp.Topics {
		for _, got := range t.Partitions {
			return got.RecordBatches, kerr.ErrorForCode(got.ErrorCode)
		}
	}
	return nil, rawkafka.ErrThrottled
}

// deleteBefore moves the log start offset of a target partition to an offset.
func deleteBefore(ctx context.Context, c *rawkafka.Cluster, p rawkafka.Partition, offset int64) error {
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: p.Topic, Partition: p.Partition, At: offset})
	resp, err := c.Admin().DeleteRecords(ctx, os)
	if err != nil {
		return fmt.Errorf("delete records: %w", err)
	}
	r, ok := resp.Lookup(p.Topic, p.Partition)
	if !ok {
		return errors.New("delete records: the answer has no partition")
	}
	if r.Err != nil {
		return fmt.Errorf("delete records: %w", r.Err)
	}
	if r.LowWatermark != offset {
		return fmt.Errorf("delete records before %d: the log start offset is %d", offset, r.LowWatermark)
	}
	return nil
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
