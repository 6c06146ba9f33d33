package ledger

import (
	"fmt"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// DeniedError says that the cluster denies a right that the ledger needs: Read, Describe, Write or
// Create on [Topic], or Create on the cluster.
type DeniedError struct {
	// Op is read, write, create or describe.
	Op  string
	Err error
}

func (e *DeniedError) Error() string { return fmt.Sprintf("ledger: %s %s: %v", e.Op, Topic, e.Err) }

// Unwrap is the broker's answer.
func (e *DeniedError) Unwrap() error { return e.Err }

// VersionError is an entry that a later version of kafkadr wrote.
type VersionError struct {
	Key     string
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("ledger: %s: version %d, and this one knows %d", e.Key, e.Version, Version)
}

// EntryError is an entry that can't be read, or can't be written: its key or value is too long, or
// it isn't what it should be.
type EntryError struct {
	Key    string
	Offset int64 // where it lies in the topic; -1: nowhere yet
	Err    error
}

func (e *EntryError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("ledger: %s: %v", e.Key, e.Err)
	}
	return fmt.Sprintf("ledger: %s, at offset %d: %v", e.Key, e.Offset, e.Err)
}

// Unwrap is the cause.
func (e *EntryError) Unwrap() error { return e.Err }

// TopicError says that the topic isn't fit for a ledger: somebody has made it with a cleanup.policy
// that removes entries, or damaged it.
type TopicError struct{ Reason string }

func (e *TopicError) Error() string { return fmt.Sprintf("ledger: topic %s: %s", Topic, e.Reason) }

// wrap gives an error its operation.
func wrap(op string, err error) error {
	if rawkafka.Denies(err) {
		return &DeniedError{Op: op, Err: err}
	}
	return fmt.Errorf("ledger: %s: %w", op, err)
}
