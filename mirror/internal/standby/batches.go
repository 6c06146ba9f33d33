package standby

import (
	"io"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// Batches yields the batches of a part of a log, for [copyops.New].
type Batches struct {
	raw     []byte
	tracker *batch.AbortTracker
}

// NewBatches yields the batches of raw, back to back. The tracker knows which are aborted.
func NewBatches(raw []byte, tracker *batch.AbortTracker) *Batches {
	return &Batches{raw: raw, tracker: tracker}
}

// Next implements copyops.Source.
func (s *Batches) Next() (b batch.Batch, aborted bool, err error) {
	if len(s.raw) == 0 {
		return b, false, io.EOF
	}
	b, s.raw, err = batch.Split(s.raw)
	if err != nil {
		return b, false, err
	}
	return b, s.tracker.Aborted(b), nil
}

// Close implements copyops.Source.
func (s *Batches) Close() {}
