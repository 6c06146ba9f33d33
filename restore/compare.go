package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
)

const (
	tailBatches   = 3
	spreadBatches = 16
	// maxSample bounds a sample's offsets: archived batches are shorter, ranges without one needn't
	// be.
	maxSample = 4096
)

// comparer compares what a target partition holds with the archive.
type comparer struct {
	cluster  *rawkafka.Cluster
	snapshot *storage.Snapshot
	job      *partitionJob
}

// span compares the records of [from, to): nil where they are equal.
func (c *comparer) span(ctx context.Context, from, to int64) (*Conflict, error) {
	p := c.job.target()
	src := c.snapshot.Cursor(ctx, c.job.state.Partition, c.job.state.History, from, to, storage.CursorOptions{Skip: c.job.skips})
	defer src.Close()
	want := &recordReader{src: src, filter: c.job.filter, next: from, end: to}
	got := &recordReader{src: newTargetSource(ctx, c.cluster, p, from, to), next: from, end: to}
	for {
		w, werr := want.Next()
		if werr != nil && !errors.Is(werr, io.EOF) {
			return nil, c.job.wrap(want.next, fmt.Errorf("archive: %w", werr))
		}
		g, gerr := got.Next()
		if gerr != nil && !errors.Is(gerr, io.EOF) {
			return nil, c.job.wrap(got.next, fmt.Errorf("target: %w", gerr))
		}
		if werr != nil && gerr != nil {
			return nil, nil
		}
		if diff := differ(w, g); diff != "" {
			return c.foreign(w, g, diff), nil
		}
	}
}

func (c *comparer) foreign(want, got *kgo.Record, diff string) *Conflict {
	at := int64(-1)
	switch {
	case got != nil && (want == nil || got.Offset < want.Offset):
		at = got.Offset
	case want != nil:
		at = want.Offset
	}
	cf := c.job.conflict(at, "foreign_records", "the target isn't a copy of the snapshot: %s", diff)
	return &cf
}

// differ says how two records differ; empty where they don't.
func differ(want, got *kgo.Record) string {
	switch {
	case got == nil || want != nil && want.Offset < got.Offset:
		return "the snapshot has a record there, the target hasn't"
	case want == nil || got.Offset < want.Offset:
		return "the target has a record there, the snapshot hasn't"
	case want.Timestamp.UnixMilli() != got.Timestamp.UnixMilli():
		return "another timestamp"
	case !sameBytes(want.Key, got.Key):
		return "another key"
	case !sameBytes(want.Value, got.Value):
		return "another value"
	case !slices.EqualFunc(want.Headers, got.Headers, sameHeader):
		return "other headers"
	}
	return ""
}

func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func sameHeader(a, b kgo.RecordHeader) bool { return a.Key == b.Key && sameBytes(a.Value, b.Value) }

// tail compares the last batches below position.
func (c *comparer) tail(ctx context.Context, position int64) (*Conflict, error) {
	return c.samples(ctx, position, nil)
}

// spread compares the last batches below position, and others evenly spread over all.
func (c *comparer) spread(ctx context.Context, position int64) (*Conflict, error) {
	if c.job.total.bytes-c.job.todo.bytes <= fetchBytes {
		return c.span(ctx, c.job.start(), position)
	}
	var at []int64
	start, n := c.job.start(), int64(spreadBatches)
	for i := range n {
		at = append(at, start+(position-start)/n*i)
	}
	return c.samples(ctx, position, at)
}

// samples compares the archived batches that hold the given offsets, and the last ones below
// position.
func (c *comparer) samples(ctx context.Context, position int64, at []int64) (*Conflict, error) {
	start := c.job.start()
	done := start
	compare := func(from, to int64) (*Conflict, error) {
		from = max(from, done)
		if from >= to {
			return nil, nil
		}
		done = to
		return c.span(ctx, from, to)
	}
	for _, offset := range at {
		if offset < done {
			continue
		}
		from, to, err := c.around(ctx, offset)
		if err != nil {
			return nil, err
		}
		if cf, err := compare(max(from, start), min(to, position)); cf != nil || err != nil {
			return cf, err
		}
	}
	from := position
	for range tailBatches {
		if from <= start {
			break
		}
		base, _, err := c.around(ctx, from-1)
		if err != nil {
			return nil, err
		}
		from = max(base, start)
	}
	return compare(max(from, start), position)
}

// around is the archived batch that holds an offset, or a range without one.
func (c *comparer) around(ctx context.Context, offset int64) (from, to int64, err error) {
	src := c.snapshot.Cursor(ctx, c.job.state.Partition, c.job.state.History, offset, offset+1, storage.CursorOptions{})
	defer src.Close()
	b, _, err := src.Next()
	if errors.Is(err, io.EOF) || err == nil && b.BaseOffset() > offset {
		return max(0, offset-maxSample), offset + maxSample, nil
	}
	if err != nil {
		return 0, 0, c.job.wrap(offset, fmt.Errorf("archive: %w", err))
	}
	return b.BaseOffset(), b.EndOffset(), nil
}

// filler checks that what the target holds below the log start to be is filler: records without
// key, value and headers.
func (c *comparer) filler(ctx context.Context, logStart, position int64) (*Conflict, error) {
	for _, from := range []int64{logStart, max(logStart, position-1)} {
		src := newTargetSource(ctx, c.cluster, c.job.target(), from, position)
		b, _, err := src.Next()
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return nil, c.job.wrap(from, fmt.Errorf("target: %w", err))
		}
		ok, err := isFiller(b)
		if err != nil {
			return nil, c.job.wrap(from, fmt.Errorf("target: %w", err))
		}
		if !ok {
			cf := c.job.conflict(from, "foreign_records", "the target has records below the log start offset %d to restore", c.job.start())
			return &cf, nil
		}
	}
	return nil, nil
}

// isFiller says whether a batch has nothing but empty records. One that is too large to decode is
// judged by its length.
func isFiller(b batch.Batch) (bool, error) {
	if b.Control() {
		return false, nil
	}
	if n := int(b.Records()); n > maxSample {
		return b.Len() < batch.HeaderSize+2*n, nil
	}
	rs, err := batch.Decode(b, fetchBytes)
	if err != nil {
		return false, err
	}
	visible := func(r *kgo.Record) bool { return r.Key != nil || len(r.Value) > 0 || len(r.Headers) > 0 }
	return !slices.ContainsFunc(rs, visible), nil
}
