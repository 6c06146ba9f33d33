package mirror

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kafkadr/kafkadr/internal/fault"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/topics"
)

// ConnectError says why a cluster can't be used: Kind is unreachable, credentials, tls, denied,
// config or protocol. It holds no secret.
type ConnectError = rawkafka.ConnectError

// WrongClusterError says that another cluster answers at an address of the source or the target:
// Want and Got are the IDs. Nothing of it was believed, and nothing was written to it.
type WrongClusterError = rawkafka.WrongClusterError

// UnreachableError says that a broker can't be reached at the address that it advertises.
type UnreachableError = rawkafka.UnreachableError

// UnknownTopicError names literal topics that don't exist at the source, with commas between them,
// or, with [Config.Once], the expressions where all of them together match none.
type UnknownTopicError struct {
	Topic string
	// Expressions says that they are those, not names.
	Expressions bool
}

func (e *UnknownTopicError) Error() string {
	if e.Expressions {
		return fmt.Sprintf("mirror: no topic matches %s", e.Topic)
	}
	if strings.Contains(e.Topic, ",") {
		return fmt.Sprintf("mirror: topics %q don't exist", e.Topic)
	}
	return fmt.Sprintf("mirror: topic %q doesn't exist", e.Topic)
}

// InternalTopicError says that a topic was named that is Kafka's own and never copied. It comes in
// a *[ConfigError].
type InternalTopicError = topics.InternalTopicError

// ConfigError lists what is wrong with a configuration, all of it. No I/O was done. It is the same
// type in all jobs.
type ConfigError = fault.ConfigError

// RefusedError is a plan that has conflicts. Nothing was changed but the flow's announcement, which
// was taken back. It is the same type in all jobs.
type RefusedError = fault.RefusedError

// PartitionError is an error with its place; an [*EventError] of a partition unwraps to one. It is
// the same type in all jobs.
type PartitionError = fault.PartitionError

// StoppedError says which partitions aren't mirrored: a Once is incomplete.
type StoppedError struct {
	Errs []error // an *[EventError] each
}

func (e *StoppedError) Error() string {
	return fmt.Sprintf("mirror: incomplete: %d partitions have stopped: %s", len(e.Errs), fault.Few("mirror", e.Errs))
}

// Unwrap returns the events.
func (e *StoppedError) Unwrap() []error { return e.Errs }

var errRanAlready = errors.New("mirror: a Mirror runs once")
