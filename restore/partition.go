package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// stallTime is how long a partition may be tried again without any progress.
const stallTime = 5 * time.Minute

// copyPartition copies a partition up to its end. Where it isn't decided what the target holds, it
// looks again and goes on from there.
func (r *runner) copyPartition(ctx context.Context, j *partitionJob) error {
	c := &partitionCopy{runner: r, job: j, share: share{p: r.progress, total: j.total}, position: -1}
	if j.settled || j.end == 0 {
		c.done()
		return nil
	}
	if err := r.attempts(ctx, j, func() int64 { return c.position }, c.attempt); err != nil {
		return c.wrap(err)
	}
	c.done()
	return nil
}

// attempts calls attempt until it succeeds, for as long as its error may be gone when the partition
// is opened anew, and the position has moved within stallTime.
func (r *runner) attempts(ctx context.Context, j *partitionJob, position func() int64, attempt func(context.Context) error) error {
	best, since := int64(-1), time.Now()
	for n := 1; ; n++ {
		err := attempt(ctx)
		if err == nil {
			return nil
		}
		var refused *RefusedError
		if ctx.Err() != nil || errors.As(err, &refused) || !again(err) {
			return err
		}
		if at := position(); at > best {
			best, since, n = at, time.Now(), 1
		}
		if time.Since(since) > stallTime {
			return fmt.Errorf("no progress in %s: %w", stallTime, err)
		}
		r.retry("partition "+j.target().String(), err)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
}

// again says that an error may be gone when the partition is opened anew.
func again(err error) bool {
	return errors.Is(err, exactcopy.ErrUndecided) || rawkafka.Retriable(err)
}

// partitionCopy is a partition that is being copied.
type partitionCopy struct {
	*runner
	job      *partitionJob
	share    share
	position int64
	counted  int64 // below it, everything is in the result
}

func (c *partitionCopy) wrap(err error) error {
	var refused *RefusedError
	var placed *PartitionError
	if errors.As(err, &refused) || errors.As(err, &placed) {
		return err
	}
	var from *exactcopy.PartitionError
	if errors.As(err, &from) {
		return c.job.wrap(from.Offset, fmt.Errorf("%s: %w", from.Op, from.Err))
	}
	return c.job.wrap(c.position, err)
}

// attempt opens the target, and copies from its true end on.
func (c *partitionCopy) attempt(ctx context.Context) error {
	to, err := c.copier.Open(ctx, c.job.target())
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer to.Close()
	if c.position < 0 && c.job.topic.created {
		to.Settled()
	}
	c.position = to.Position()
	if err := c.check(ctx); err != nil {
		return err
	}
	if err := c.begin(ctx, to); err != nil {
		return err
	}
	if err := c.stream(ctx, to); err != nil {
		return err
	}
	if err := to.Flush(ctx, true); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// check looks whether the end of what the target holds is still ours: somebody else may have
// written since the plan.
func (c *partitionCopy) check(ctx context.Context) error {
	j := c.job
	if c.position > j.end {
		return refuse(j.conflict(j.end, "foreign_records", "the target ends at %d, beyond what is restored", c.position))
	}
	if c.position <= j.start() {
		return nil
	}
	high, err := one(ctx, c.cluster, j.target(), rawkafka.Latest, rawkafka.Consumer)
	if err != nil {
		return fmt.Errorf("high watermark: %w", err)
	}
	low, err := one(ctx, c.cluster, j.target(), rawkafka.Earliest, rawkafka.Consumer)
	if err != nil {
		return fmt.Errorf("log start offset: %w", err)
	}
	if low > j.start() {
		return refuse(j.conflict(low, "log_start", "the target's log starts at %d, the snapshot's at %d", low, j.start()))
	}
	if high = min(high, c.position); high <= j.start() {
		return nil
	}
	cmp := &comparer{cluster: c.cluster, snapshot: c.cfg.Snapshot, job: j}
	cf, err := cmp.tail(ctx, high)
	if err != nil {
		return err
	}
	if cf != nil {
		return refuse(*cf)
	}
	return nil
}

func refuse(c Conflict) error { return &RefusedError{Job: "restore", Conflicts: []Conflict{c}} }

// begin fills a new partition up to the log start offset, which it then moves there.
func (c *partitionCopy) begin(ctx context.Context, to *exactcopy.Partition) error {
	start := c.job.start()
	if start == 0 {
		return nil
	}
	if c.position < start {
		if err := to.Fill(ctx, start-c.position); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
		if err := to.Flush(ctx, true); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
		c.position = to.Position()
	}
	low, err := one(ctx, c.cluster, c.job.target(), rawkafka.Earliest, rawkafka.Consumer)
	if err != nil {
		return fmt.Errorf("log start offset: %w", err)
	}
	if low >= start {
		return nil
	}
	return c.cluster.DeleteBefore(ctx, c.job.target(), start)
}

// stream appends the archive's batches and makes its holes, from position to the end.
func (c *partitionCopy) stream(ctx context.Context, to *exactcopy.Partition) error {
	found := c.job.total
	ops := c.job.ops(ctx, c.cfg.Snapshot, c.position)
	defer ops.Close()
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
		if o.Base != to.Position() {
			return fmt.Errorf("the target is at %d, the archive at %d", to.Position(), o.Base)
		}
		if o.Hole() {
			err = to.Hole(ctx, o.End-o.Base)
		} else {
			err = to.Append(ctx, o.Batch)
		}
		if err != nil {
			return err
		}
		c.position = o.End
		bytes += int64(o.Batch.Len())
		c.count(o)
		c.share.at(before+ops.Passed(), found.bytes-c.job.todo.bytes+bytes)
	}
}

// count counts a batch for the result, once.
func (c *partitionCopy) count(o copyops.Op) {
	if !o.Hole() && o.End > c.counted {
		c.progress.visible.Add(o.End - max(o.Base, c.counted))
		c.progress.produced.Add(int64(o.Batch.Len()))
		c.counted = o.End
	}
}

func (c *partitionCopy) done() {
	c.share.at(c.share.total.records, c.share.total.bytes)
	c.progress.partitions.Add(1)
	if f := c.cfg.Hooks.OnPartition; f != nil {
		f(c.job.topic.name, c.job.state.Partition.Partition, c.job.end)
	}
}
