package backup

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/internal/fault"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/topics"
)

// TruncatedError says that a partition's log on the source no longer is the
// one that was archived: an unclean election, or a restored disk. What was
// archived stays restorable as a history of its own.
type TruncatedError struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// ArchivedEnd is the archived history's end; SourceEnd the source's log end, or where its
	// epochs say they part.
	ArchivedEnd int64  `json:"archived_end"`
	SourceEnd   int64  `json:"source_end"`
	Reason      string `json:"reason"`
}

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("backup: %s/%d at %d: truncated: the source has another history from %d on: %s",
		e.Topic, e.Partition, e.ArchivedEnd, e.SourceEnd, e.Reason)
}

// PartialError says which partitions couldn't be read: the snapshot is
// incomplete, and isn't the latest unasked.
type PartialError struct {
	Errs []error // a *PartitionError each
}

func (e *PartialError) Error() string {
	return fmt.Sprintf("backup: the snapshot is incomplete: %d partitions couldn't be read: %s", len(e.Errs), fault.Few("backup", e.Errs))
}

// Unwrap returns the partitions' errors.
func (e *PartialError) Unwrap() []error { return e.Errs }

// GroupsError says whose committed offsets couldn't be read: the snapshot is there, and its records
// are complete. What it has of these groups is as old as it says.
type GroupsError struct {
	// Groups are those that couldn't be read, with the reason and the age of the offsets that are
	// carried for them.
	Groups map[string]string
	// Unread says why groups may be missing, if so.
	Unread string
}

func (e *GroupsError) Error() string {
	const show = 3
	var texts []string
	if e.Unread != "" {
		texts = append(texts, e.Unread)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Groups)) {
		if len(texts) == show {
			texts = append(texts, fmt.Sprintf("%d groups in all", len(e.Groups)))
			break
		}
		texts = append(texts, fmt.Sprintf("%q: %s", name, e.Groups[name]))
	}
	return "backup: the records are complete, but not all groups could be read: " + strings.Join(texts, "; ")
}

// PartitionError is an error with its place: how far the partition had been read. It is the same
// type in all jobs.
type PartitionError = fault.PartitionError

// ConnectError says why a cluster can't be used: Kind is unreachable,
// credentials, tls, denied, config or protocol. It holds no secret.
type ConnectError = rawkafka.ConnectError

// WrongClusterError says that another cluster answers at the source's address: Want and Got are the
// IDs. Nothing of it was archived.
type WrongClusterError = rawkafka.WrongClusterError

// UnreachableError says that a broker of the source can't be reached at the address that it
// advertises.
type UnreachableError = rawkafka.UnreachableError

// UnknownTopicError names a literal topic that doesn't exist, or the
// expressions where all of a Run's or, at its start, a Follower's together match none.
type UnknownTopicError struct{ Topic string }

func (e *UnknownTopicError) Error() string {
	return fmt.Sprintf("backup: topic %q doesn't exist", e.Topic)
}

// InternalTopicError says that a topic was named that is Kafka's own and never copied. It comes in
// a *[ConfigError].
type InternalTopicError = topics.InternalTopicError

// ConfigError lists what is wrong with a configuration, all of it. No I/O was done. It is the same
// type in all jobs.
type ConfigError = fault.ConfigError
