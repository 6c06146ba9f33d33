package batch

import (
	"errors"
	"fmt"

	"github.com/kafkadr/kafkadr/storage/internal/unzstd"
)

// ErrShort is returned where the bytes end inside a batch.
var ErrShort = errors.New("batch: bytes end inside a batch")

// ErrTooLarge is returned where records would decompress to more than the
// limit given. The error is a *[Error] that wraps it.
var ErrTooLarge = unzstd.ErrTooLarge

// Error is a record batch, or a message of magic 0 or 1, that is not as
// Kafka writes it, or that can't be taken.
type Error struct {
	// BaseOffset is what the batch says is its base offset.
	BaseOffset int64
	// Reason says what is wrong.
	Reason string
	// Err is the cause, or nil.
	Err error
}

func (e *Error) Error() string {
	s := fmt.Sprintf("batch at %d: %s", e.BaseOffset, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
