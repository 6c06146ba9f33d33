package segment

import (
	"math"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// summary gathers a run's facts, batch by batch.
type summary struct {
	RunInfo
	invisible bool // the offset before EndOffset has no visible record, as far as headers tell
}

// add takes a batch that follows those before it. aborted says that it
// belongs to an aborted transaction.
func (s *summary) add(b batch.Batch, aborted bool) {
	base, end, records := b.BaseOffset(), b.EndOffset(), int64(b.Records())
	if s.Bytes == 0 {
		s.BaseOffset, s.EndOffset = base, base
		s.MinTimestamp, s.MaxTimestamp = math.MaxInt64, math.MinInt64
	}
	s.addHoles(base, end, records, aborted || b.Control())
	first, last := b.Timestamps()
	s.MinTimestamp, s.MaxTimestamp = min(s.MinTimestamp, first), max(s.MaxTimestamp, last)
	s.Missing += base - s.EndOffset + end - base - records
	s.Records += records
	s.Bytes += int64(b.Len())
	s.EndOffset = end
	s.LeaderEpoch = b.LeaderEpoch()
	s.MaxBatch = max(s.MaxBatch, int32(b.Len()))
}

// addHoles counts maximal ranges of offsets without a visible record. Where
// offsets are missing inside a batch, they are as many ranges as they can be.
func (s *summary) addHoles(base, end, records int64, invisible bool) {
	if base > s.EndOffset {
		s.hide()
	}
	if invisible || records == 0 {
		s.hide()
		return
	}
	s.HoleRuns += min(end-base-records, records+1)
	s.invisible = false
}

// hide goes on with a range that has no visible record, or begins one.
func (s *summary) hide() {
	if !s.invisible {
		s.HoleRuns++
	}
	s.invisible = true
}
