package exactcopy

import (
	"errors"
	"fmt"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Errors that callers act on.
var (
	// ErrShifted: the target's end is not where it must be; every later record would get a wrong
	// offset. The error is a *[ShiftedError].
	ErrShifted = errors.New("the target's log is shifted")

	// ErrUndecided: what the target holds is not known, or is not as expected: a broker that stayed
	// away too long, another process of the same copy. Open the partition again and go on from its
	// Position.
	ErrUndecided = errors.New("undecided: open the partition again")

	// ErrStamped: the topic gives records a time of its own (message.timestamp.type is
	// LogAppendTime), so the first batch behind that has wrong timestamps. It is at the error's
	// offset; nothing more is written.
	ErrStamped = errors.New("the topic stamps records itself (message.timestamp.type=LogAppendTime)")

	// ErrMarkersIgnored: the target answers WriteTxnMarkers with success and writes nothing, so
	// that no hole can be made.
	ErrMarkersIgnored = errors.New("the target answers markers (WriteTxnMarkers) with success and writes none")

	// ErrClosed: the partition or its copier was closed.
	ErrClosed = errors.New("closed")
)

// ShiftedError says that a target partition has more, or other, offsets than the copy gave it.
// Nothing more is written to it: the way on is to create the topic again. It is [ErrShifted].
type ShiftedError struct {
	Topic     string
	Partition int32
	// Expected is the offset that should have come next, Got the one that came.
	Expected, Got int64
}

func (e *ShiftedError) Error() string {
	return fmt.Sprintf("exactcopy: %s/%d at %d: %v: the broker is at %d", e.Topic, e.Partition, e.Expected, ErrShifted, e.Got)
}

// Is makes the error ErrShifted.
func (e *ShiftedError) Is(target error) bool { return target == ErrShifted }

// PartitionError is an error with its place and what was tried.
type PartitionError struct {
	Topic     string
	Partition int32
	// Offset is where the operation would have taken effect.
	Offset int64
	// Op is append, hole, fill, flush, open or produce.
	Op  string
	Err error
}

func (e *PartitionError) Error() string {
	return fmt.Sprintf("exactcopy: %s/%d at %d: %s: %v", e.Topic, e.Partition, e.Offset, e.Op, e.Err)
}

// Unwrap is the cause.
func (e *PartitionError) Unwrap() error { return e.Err }

// at gives err its place, once.
func at(p rawkafka.Partition, offset int64, op string, err error) error {
	var placed *PartitionError
	if err == nil || errors.As(err, &placed) || errors.Is(err, ErrShifted) {
		return err
	}
	return &PartitionError{p.Topic, p.Partition, offset, op, err}
}

func shifted(p rawkafka.Partition, expected, got int64) error {
	return &ShiftedError{p.Topic, p.Partition, expected, got}
}

// undecided makes cause an ErrUndecided.
func undecided(cause error) error {
	if errors.Is(cause, ErrUndecided) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrUndecided, cause)
}
