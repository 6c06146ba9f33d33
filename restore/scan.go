package restore

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/storage"
)

// add adds a run.
func (t *totals) add(r storage.Run) {
	t.records += r.Records
	t.bytes += r.Bytes
	t.holeRuns += r.HoleRuns
	t.holeOffsets += r.Missing
	t.stamps(r.MinTimestamp, r.MaxTimestamp)
	t.maxBatch = max(t.maxBatch, int64(r.MaxBatch))
}

func (t *totals) stamps(first, last int64) {
	t.minTimestamp = min(t.minTimestamp, first)
	t.maxStamp = max(t.maxStamp, last)
}

func (t *totals) hole(offsets int64) {
	if offsets > 0 {
		t.holeRuns++
		t.holeOffsets += offsets
	}
}

// sum adds up what the index says of a partition from an offset on. Runs that the offset lies in
// count whole; of what control and aborted batches hide, only the runs are known, and each counts
// as one offset at least. Runs that are known to be damaged count as holes.
func (j *partitionJob) sum(ctx context.Context, s *storage.Snapshot, from int64) (totals, error) {
	t := totals{minTimestamp: math.MaxInt64, maxStamp: math.MinInt64}
	next := from
	var hidden int64
	for r, err := range s.Runs(ctx, j.state.Partition, j.state.History, from) {
		if j.skipsLost(err) {
			continue
		}
		if lost, ok := storage.LostRuns(err); ok && (lost.BaseOffset >= j.state.EndOffset || j.start() >= j.state.EndOffset) {
			continue
		}
		if err != nil {
			return t, err
		}
		if r.BaseOffset >= j.state.EndOffset {
			break
		}
		if j.skips(r) {
			continue
		}
		t.hole(r.BaseOffset - next)
		t.add(r)
		hidden += max(0, r.HoleRuns-r.Missing)
		next = max(next, r.EndOffset)
	}
	t.holeOffsets += hidden
	t.hole(j.state.EndOffset - next)
	return t, nil
}

// scan reads and filters a partition from an offset on. It returns where the target would end.
func (j *partitionJob) scan(ctx context.Context, s *storage.Snapshot, from int64) (totals, int64, error) {
	t := totals{minTimestamp: math.MaxInt64, maxStamp: math.MinInt64}
	ops := j.ops(ctx, s, from)
	defer ops.Close()
	end := from
	for {
		o, err := ops.Next()
		if errors.Is(err, io.EOF) {
			return t, end, nil
		}
		if err != nil {
			return t, end, j.wrap(end, err)
		}
		end = o.End
		if o.Hole() {
			t.hole(o.End - o.Base)
			continue
		}
		t.records += o.Records
		t.bytes += int64(o.Batch.Len())
		t.stamps(o.Batch.FirstTimestamp(), o.Batch.MaxTimestamp())
		t.maxBatch = max(t.maxBatch, int64(o.Batch.Len()))
	}
}

// ops streams a partition's ops from an offset on.
func (j *partitionJob) ops(ctx context.Context, s *storage.Snapshot, from int64) *copyops.Stream {
	return copyops.New(j.cursor(ctx, s, from), j.filter, from, j.state.EndOffset)
}
