package restore

import (
	"fmt"
	"strings"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/topics"
)

// ErrShifted says that the target's end is not where it must be, so every later record
// would get a wrong offset; nothing more was written to the partition. The way
// on is creating the topic again and restoring it.
var ErrShifted = exactcopy.ErrShifted

// ErrStamped says that a target's topic gives records a time of its own (message.timestamp.type=LogAppendTime, perhaps set while the restore ran). The batch at
// the error's offset has wrong timestamps, and nothing more was written to the partition. The way on is creating the topic again and restoring it.
var ErrStamped = exactcopy.ErrStamped

// ErrMarkersIgnored says that the target answers WriteTxnMarkers with success and writes none, so that no holes can be made. Translated offsets need none.
var ErrMarkersIgnored = exactcopy.ErrMarkersIgnored

// ConnectError says why a cluster can't be used: Kind is unreachable,
// credentials, tls, denied, config or protocol. It holds no secret.
type ConnectError = rawkafka.ConnectError

// WrongClusterError says that another cluster answers at the target's address: Want and Got are the IDs. Nothing was written to it.
type WrongClusterError = rawkafka.WrongClusterError

// UnreachableError says that a broker of the target can't be reached at the address that it advertises.
type UnreachableError = rawkafka.UnreachableError

// UnknownTopicError names a literal topic that the snapshot doesn't hold, or
// the expressions where all of them together match none.
type UnknownTopicError struct{ Topic string }

func (e *UnknownTopicError) Error() string {
	return fmt.Sprintf("restore: topic %q is not in the snapshot", e.Topic)
}

// InternalTopicError says that a topic was named that is Kafka's own and never copied.
type InternalTopicError = topics.InternalTopicError

// UnknownPartitionError is a partition that a topic of the snapshot doesn't have.
type UnknownPartitionError struct {
	Topic     string
	Partition int32
	// Partitions is how many it has.
	Partitions int32
}

func (e *UnknownPartitionError) Error() string {
	return fmt.Sprintf("restore: topic %q has %d partitions in the snapshot, and none of number %d", e.Topic, e.Partitions, e.Partition)
}

// PartitionError is an error with its place. Offset is the position that the
// target had reached.
type PartitionError struct {
	Topic     string
	Partition int32
	Offset    int64
	Err       error
}

func (e *PartitionError) Error() string {
	return fmt.Sprintf("restore: %s/%d at %d: %v", e.Topic, e.Partition, e.Offset, e.Err)
}

// Unwrap is the cause.
func (e *PartitionError) Unwrap() error { return e.Err }

// RefusedError is a plan that has conflicts. Nothing was changed, unless
// Run found the conflict in a partition it had begun.
type RefusedError struct{ Conflicts []Conflict }

func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString("restore: refused: ")
	for i, c := range e.Conflicts {
		if i == 8 {
			fmt.Fprintf(&b, "; and %d more", len(e.Conflicts)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.String())
	}
	return b.String()
}

// String is the conflict's place, kind and detail.
func (c Conflict) String() string {
	switch {
	case c.Topic == "":
		return fmt.Sprintf("%s: %s", c.Kind, c.Detail)
	case c.Partition < 0:
		return fmt.Sprintf("%s: %s: %s", c.Topic, c.Kind, c.Detail)
	}
	return fmt.Sprintf("%s/%d at %d: %s: %s", c.Topic, c.Partition, c.Offset, c.Kind, c.Detail)
}
