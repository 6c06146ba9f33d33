package segment

import (
	"errors"
	"fmt"
)

// ErrShortBatch is returned where the bytes end inside a batch.
var ErrShortBatch = errors.New("segment: bytes end inside a batch")

// BatchError is a record batch that is not as Kafka writes it.
type BatchError struct {
	// BaseOffset is what the batch says is its base offset.
	BaseOffset int64
	// Reason says what is wrong.
	Reason string
}

func (e *BatchError) Error() string {
	return fmt.Sprintf("segment: batch at %d: %s", e.BaseOffset, e.Reason)
}

// DamageError is a segment whose bytes are not those that were written.
type DamageError struct {
	// Part is what is damaged: header, frame, run, directory, footer.
	Part string
	// Position and Length say where in the object, in bytes.
	Position, Length int64
	// Partition, BaseOffset and EndOffset say what can't be read, half-open;
	// they are zero where the damage is not of one run.
	Partition             Partition
	BaseOffset, EndOffset int64
	// Reason says what is wrong.
	Reason string
}

func (e *DamageError) Error() string {
	s := fmt.Sprintf("segment: damaged %s at byte %d: %s", e.Part, e.Position, e.Reason)
	if e.EndOffset > e.BaseOffset {
		s += fmt.Sprintf(" (%v, offsets %d to %d)", e.Partition, e.BaseOffset, e.EndOffset)
	}
	return s
}
