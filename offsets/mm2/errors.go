package mm2

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kafkadr/kafkadr/internal/fault"
)

// ErrTombstone is a record without a value: what its key names is gone. Java's client dies of one
// in a checkpoints topic.
var ErrTombstone = errors.New("mm2: tombstone")

// ErrOtherConnector is an entry of Connect's offset store that isn't of a MirrorSourceConnector:
// the heartbeat and checkpoint connectors' entries carry nothing.
var ErrOtherConnector = errors.New("mm2: an entry of another connector")

// FormatError is a record, or a value to be encoded, that isn't what MirrorMaker writes.
type FormatError struct {
	// What was being read: "checkpoint key" and the like.
	What string
	// Reason says what is wrong with it.
	Reason string
	// Err is the cause, where there is one.
	Err error
}

func (e *FormatError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("mm2: %s: %s: %v", e.What, e.Reason, e.Err)
	}
	return fmt.Sprintf("mm2: %s: %s", e.What, e.Reason)
}

// Unwrap is the cause.
func (e *FormatError) Unwrap() error { return e.Err }

// NotFoundError says that the target has none of the topics that MirrorMaker keeps there for a
// source: the alias, the separator or the cluster is another.
type NotFoundError struct {
	SourceAlias string
	// Topics were looked for.
	Topics []string
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("mm2: nothing of MirrorMaker's for source %q: no topic %s", e.SourceAlias, strings.Join(e.Topics, ", "))
}

// TopicError is a failure to read one topic of the target.
type TopicError struct {
	Topic     string
	Partition int32
	Err       error
}

func (e *TopicError) Error() string {
	return fmt.Sprintf("mm2: %s/%d: %v", e.Topic, e.Partition, e.Err)
}

// Unwrap is the cause.
func (e *TopicError) Unwrap() error { return e.Err }

// RecordError is a record that was skipped: it isn't what MirrorMaker writes. MirrorMaker's own
// clients skip it too.
type RecordError struct {
	Topic     string
	Partition int32
	Offset    int64
	Err       error
}

func (e *RecordError) Error() string {
	return fmt.Sprintf("mm2: %s/%d at %d: %v", e.Topic, e.Partition, e.Offset, e.Err)
}

// Unwrap is the cause, a [*FormatError].
func (e *RecordError) Unwrap() error { return e.Err }

// ConfigError lists what is wrong with a configuration, all of it. No I/O was done. It is the same
// type in all jobs.
type ConfigError = fault.ConfigError
