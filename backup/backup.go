package backup

import "context"

// Run takes one snapshot: the last stable offsets of all partitions, taken once at the start, are the cut.
func Run(ctx context.Context, cfg Config) (*Result, error) { panic("TODO") }

// Follower backs a cluster up continuously.
type Follower struct{}

// NewFollower validates the configuration; it does no I/O.
func NewFollower(cfg FollowerConfig) (*Follower, error) { panic("TODO") }

// Run follows until the context ends, which commits nothing more, or Stop, which commits what is durable and makes Run return nil.
func (f *Follower) Run(ctx context.Context) error { panic("TODO") }

// Stop ends Run cleanly: what was read is flushed and committed.
func (f *Follower) Stop(ctx context.Context) error { panic("TODO") }

// Status is where the follower stands.
func (f *Follower) Status() Status { panic("TODO") }

// TruncatedError says that a partition's log on the source no longer is the one that was archived.
type TruncatedError struct {
	Topic     string
	Partition int32
	// ArchivedEnd is the archived history's end; SourceEnd the source's log end, or where its epochs say they part.
	ArchivedEnd, SourceEnd int64
	Reason                 string
}

func (e *TruncatedError) Error() string { return "TODO" }

// PartialError says which partitions couldn't be read: the snapshot is incomplete.
type PartialError struct {
	Errs []error // a *PartitionError each
}

func (e *PartialError) Error() string   { return "TODO" }
func (e *PartialError) Unwrap() []error { return e.Errs }

// PartitionError is an error with its place.
type PartitionError struct {
	Topic     string
	Partition int32
	Offset    int64
	Err       error
}

func (e *PartitionError) Error() string { return "TODO" }
func (e *PartitionError) Unwrap() error { return e.Err }

// UnknownTopicError names a literal topic that doesn't exist.
type UnknownTopicError struct{ Topic string }

func (e *UnknownTopicError) Error() string { return "TODO" }
