package offsets

import (
	"errors"
	"fmt"

	"github.com/kafkadr/kafkadr/internal/fault"
	"github.com/kafkadr/kafkadr/internal/quote"
)

// ErrLeftOut is what [PlanConfig].Translate answers for an offset that is none of the plan's
// business: it gets no line.
var ErrLeftOut = errors.New("offsets: left out")

// ConfigError lists what is wrong with a configuration, all of it. No I/O was done. It is the same
// type in all jobs.
type ConfigError = fault.ConfigError

func notGiven(name string) error {
	return &ConfigError{Job: "offsets", Errs: []error{fmt.Errorf("%s is missing", name)}}
}

// ClusterError says that a plan, or what was there before it, is of another cluster. Nothing was
// changed.
type ClusterError struct{ Want, Have string }

func (e *ClusterError) Error() string {
	return fmt.Sprintf("offsets: this is for cluster %s, and the client's cluster is %s", e.Want, e.Have)
}

// RefusedError says what is refused, by name. Nothing was changed.
type RefusedError struct{ Refused []Refusal }

// conflicts are the refusals as all jobs tell theirs.
func (e *RefusedError) conflicts() *fault.RefusedError {
	refused := &fault.RefusedError{Job: "offsets"}
	for _, r := range e.Refused {
		refused.Conflicts = append(refused.Conflicts, r.conflict())
	}
	return refused
}

func (e *RefusedError) Error() string { return e.conflicts().Error() }

// Unwrap is the error as all jobs have it: errors.As of a restore's or a mirror's RefusedError
// finds it.
func (e *RefusedError) Unwrap() error { return e.conflicts() }

// Refusal is a group, or one of its offsets, that isn't touched, and why.
type Refusal struct {
	Group string `json:"group"`
	// Topic is empty where it is the whole group.
	Topic     string `json:"topic,omitempty"`
	Partition int32  `json:"partition"`
	// Offset is what was to be committed.
	Offset int64  `json:"offset"`
	Why    Why    `json:"why"`
	Detail string `json:"detail"`
}

// String is the refusal's place, reason and detail.
func (r Refusal) String() string { return r.conflict().String() }

func (r Refusal) conflict() fault.Conflict {
	c := fault.Conflict{Group: r.Group, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Kind: string(r.Why), Detail: r.Detail}
	if r.Topic == "" {
		c.Partition, c.Offset = -1, -1
	}
	return c
}

// GroupError is an error of one group; the others aren't touched by it.
type GroupError struct {
	Group string
	Op    string // fetch, commit, delete
	Err   error
}

func (e *GroupError) Error() string {
	return fmt.Sprintf("offsets: group %s: %s: %v", quote.Name(e.Group), e.Op, e.Err)
}

// Unwrap is the cause.
func (e *GroupError) Unwrap() error { return e.Err }

// PartitionError is a broker's answer for one partition of a group; its Offset is -1, or the one
// that was to be committed. It is the same type in all jobs.
type PartitionError = fault.PartitionError
