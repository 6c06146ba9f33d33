package restore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// translatedCopy is a partition whose records are being appended to what the target holds.
type translatedCopy struct {
	*runner
	job     *partitionJob
	share   share
	mapping *mapping
	checked bool
	next    int64 // the ordinal that comes next
	counted int64 // records in the result
}

// copyTranslated appends what the target lacks of a partition, and leaves the whole map. Where it
// isn't decided what the target holds, it looks again.
func (r *runner) copyTranslated(ctx context.Context, j *partitionJob) error {
	c := &translatedCopy{runner: r, job: j, share: share{p: r.progress, total: j.total}, counted: j.to.found}
	if j.to.done {
		c.done()
		return nil
	}
	var err error
	if c.mapping, err = newMapping(j.id(r.info.ClusterID), j.start(), j.to.note.First); err != nil {
		return j.wrap(j.start(), err)
	}
	if err := r.attempts(ctx, j, func() int64 { return c.next }, c.attempt); err != nil {
		return c.wrap(err)
	}
	c.done()
	return nil
}

// wrap gives an error its place: the archive's offset up to which the target is known.
func (c *translatedCopy) wrap(err error) error {
	var refused *RefusedError
	var placed *PartitionError
	if errors.As(err, &refused) || errors.As(err, &placed) {
		return err
	}
	offset, ok := c.mapping.upstream(c.next)
	if !ok {
		_, offset = c.mapping.known()
	}
	var from *exactcopy.PartitionError
	if errors.As(err, &from) {
		if at, ok := c.mapping.upstream(from.Offset); ok {
			offset = at
		}
		return c.job.wrap(offset, fmt.Errorf("%s: %w", from.Op, from.Err))
	}
	return c.job.wrap(offset, err)
}

// attempt opens the target, learns what of the job is there, and appends the rest.
func (c *translatedCopy) attempt(ctx context.Context) error {
	to, err := c.copier.OpenTranslated(ctx, c.job.target(), exactcopy.Translation{
		Job: c.job.topic.job, From: c.mapping.checkpoint(), OnPlaced: c.mapping.placed,
	})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer to.Close()
	c.next = to.Next()
	c.counted = max(c.counted, c.next) // others may be at the same job
	from, err := c.job.seek(ctx, c.cfg.Snapshot, c.mapping, c.next)
	if err != nil {
		return err
	}
	if !c.checked {
		if err := c.check(ctx); err != nil {
			return err
		}
		c.checked = true
	}
	if err := c.stream(ctx, to, from); err != nil {
		return err
	}
	if err := to.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	c.job.to.found = to.Next()
	c.job.to.m, err = c.mapping.whole(c.job.end)
	return err
}

// check compares what the target holds of the job with the archive.
func (c *translatedCopy) check(ctx context.Context) error {
	m, err := c.mapping.soFar()
	if err != nil {
		return refuse(c.job.conflict(c.job.start(), "foreign_records", "%v", err))
	}
	cmp := &comparer{cluster: c.cluster, snapshot: c.cfg.Snapshot, job: c.job}
	cf, err := cmp.translated(ctx, m, false)
	if err == nil && cf != nil {
		err = refuse(*cf)
	}
	return err
}

// stream appends the archive's records from an offset on, whose ordinal is the next.
func (c *translatedCopy) stream(ctx context.Context, to *exactcopy.Translated, from int64) error {
	ops := c.job.ops(ctx, c.cfg.Snapshot, from)
	defer ops.Close()
	found := c.job.total
	var bytes int64
	before := found.records - c.job.todo.records
	for {
		o, err := ops.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if o.Hole() {
			continue
		}
		c.mapping.archived(c.next, o.Base, o.Records)
		if err := c.append(ctx, to, o); err != nil {
			return err
		}
		c.next += o.Records
		bytes += int64(o.Batch.Len())
		if more := c.next - c.counted; more > 0 {
			c.counted = c.next
			c.progress.visible.Add(more)
			c.progress.produced.Add(int64(o.Batch.Len()))
		}
		c.share.at(before+ops.Passed(), found.bytes-c.job.todo.bytes+bytes)
	}
}

// append appends a batch, in pieces where it is longer than the target takes.
func (c *translatedCopy) append(ctx context.Context, to *exactcopy.Translated, o copyops.Op) error {
	limit := c.job.filter.MaxBatch
	if limit <= 0 || o.Batch.Len() <= limit || o.Records < 2 {
		return to.Append(ctx, o.Batch)
	}
	rs, err := batch.Decode(o.Batch, 0)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return c.halves(ctx, to, rs, copyops.CodecOf(o.Batch), limit)
}

func (c *translatedCopy) halves(ctx context.Context, to *exactcopy.Translated, rs []*kgo.Record, codec kgo.CompressionCodec, limit int) error {
	raw, err := batch.Append(nil, rs[0].Offset, codec, rs...)
	if err != nil {
		return fmt.Errorf("split batch at %d: %w", rs[0].Offset, err)
	}
	if n := len(rs); len(raw) > limit && n > 1 {
		if err := c.halves(ctx, to, rs[:n/2], codec, limit); err != nil {
			return err
		}
		return c.halves(ctx, to, rs[n/2:], codec, limit)
	}
	b, err := batch.Parse(raw)
	if err != nil {
		return fmt.Errorf("split batch at %d: %w", rs[0].Offset, err)
	}
	return to.Append(ctx, b)
}

func (c *translatedCopy) done() {
	c.share.at(c.share.total.records, c.share.total.bytes)
	c.progress.partitions.Add(1)
	if f := c.cfg.Hooks.OnPartition; f != nil {
		f(c.job.topic.name, c.job.state.Partition.Partition, c.job.to.m.DownstreamEnd())
	}
}

// conflictError carries a conflict up.
type conflictError struct{ Conflict }

func (e *conflictError) Error() string { return e.Conflict.String() }

// Unwrap makes it a refusal.
func (e *conflictError) Unwrap() error {
	return &RefusedError{Job: "restore", Conflicts: []Conflict{e.Conflict}}
}

// seek finds the archive's offset of the record with an ordinal, or one in the hole before it, and
// reads on where it isn't known yet.
func (j *partitionJob) seek(ctx context.Context, s *storage.Snapshot, m *mapping, ordinal int64) (int64, error) {
	if at, ok := m.upstream(ordinal); ok {
		return at, nil
	}
	next, from := m.known()
	ops := j.ops(ctx, s, from)
	defer ops.Close()
	for next < ordinal {
		o, err := ops.Next()
		if errors.Is(err, io.EOF) {
			return 0, &conflictError{j.conflict(j.end, "foreign_records", "the target has %d records of this restore, the archive %d", ordinal, next)}
		}
		if err != nil {
			return 0, j.wrap(from, fmt.Errorf("archive: %w", err))
		}
		if !o.Hole() {
			m.archived(next, o.Base, o.Records)
			next += o.Records
		}
		from = o.End
		if next > ordinal {
			from = o.End - (next - ordinal)
		}
	}
	return from, nil
}

// more says whether the archive has a record to restore at or behind an offset.
func (j *partitionJob) more(ctx context.Context, s *storage.Snapshot, from int64) (bool, error) {
	ops := j.ops(ctx, s, from)
	defer ops.Close()
	for {
		o, err := ops.Next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil || !o.Hole() {
			return true, err
		}
	}
}
