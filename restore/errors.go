package restore

import (
	"fmt"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/fault"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/topics"
)

// ErrShifted says that the target's end is not where it must be, so every later record
// would get a wrong offset; nothing more was written to the partition. The way
// on is creating the topic again and restoring it.
var ErrShifted = exactcopy.ErrShifted

// ErrStamped says that a target's topic gives records a time of its own
// (message.timestamp.type=LogAppendTime, perhaps set while the restore ran). The batch at the
// error's offset has wrong timestamps, and nothing more was written to the partition. The way on is
// creating the topic again and restoring it.
var ErrStamped = exactcopy.ErrStamped

// ErrMarkersIgnored says that the target answers WriteTxnMarkers with success and writes none, so
// that no holes can be made. Translated offsets need none.
var ErrMarkersIgnored = exactcopy.ErrMarkersIgnored

// ConnectError says why a cluster can't be used: Kind is unreachable,
// credentials, tls, denied, config or protocol. It holds no secret.
type ConnectError = rawkafka.ConnectError

// WrongClusterError says that another cluster answers at the target's address: Want and Got are the
// IDs. Nothing was written to it.
type WrongClusterError = rawkafka.WrongClusterError

// UnreachableError says that a broker of the target can't be reached at the address that it
// advertises.
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

// PartitionError is an error with its place. Offset is the position that the target had reached. It
// is the same type in all jobs.
type PartitionError = fault.PartitionError

// ConfigError lists what is wrong with a configuration, all of it. No I/O was done. It is the same
// type in all jobs.
type ConfigError = fault.ConfigError

// RefusedError is a plan that has conflicts. Nothing was changed, unless Run found the conflict in
// a partition it had begun. It is the same type in all jobs.
type RefusedError = fault.RefusedError

// Conflict is a reason to refuse. Kind is foreign_records, too_large, same_cluster,
// replication_factor, incomplete, hole_time, group_active, …
type Conflict = fault.Conflict
