package restore

import (
	"context"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// keepStarts looks once more where the target's logs start, and moves those that have come back. A
// broker writes a log start down once a minute (log.flush.start.offset.checkpoint.interval.ms): one
// that was killed begins at the last it wrote, follows its leader again, and may be made the leader
// before it has.
func (r *runner) keepStarts(ctx context.Context) error {
	jobs := map[rawkafka.Partition]*partitionJob{}
	var ps []rawkafka.Partition
	for _, t := range r.topics {
		for _, j := range t.partitions {
			if j.start() > 0 {
				jobs[j.target()] = j
				ps = append(ps, j.target())
			}
		}
	}
	for n, since := 0, time.Now(); len(ps) > 0; n++ {
		left, err := r.moveStarts(ctx, ps, jobs)
		if err != nil && (!again(err) || time.Since(since) > stallTime) {
			return err
		}
		if err != nil {
			r.retry("log starts", err)
			if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
				return fmt.Errorf("restore: %w", context.Cause(ctx))
			}
		}
		ps = left
	}
	return nil
}

// moveStarts moves the log starts that aren't where they ought to be, and says which partitions it
// has to look at again. Of errors it returns the last.
func (r *runner) moveStarts(ctx context.Context, ps []rawkafka.Partition, jobs map[rawkafka.Partition]*partitionJob) (left []rawkafka.Partition, failed error) {
	starts, err := r.cluster.ListOffsets(ctx, ps, rawkafka.Earliest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return ps, fmt.Errorf("restore: log start offsets: %w", err)
	}
	for _, p := range ps {
		j := jobs[p]
		err := starts[p].Err
		if err == nil && starts[p].Offset >= j.start() {
			continue
		}
		if err == nil {
			err = r.cluster.DeleteBefore(ctx, p, j.start())
		}
		if err != nil {
			failed = j.wrap(j.start(), fmt.Errorf("log start offset: %w", err))
		}
		left = append(left, p)
	}
	return left, failed
}
