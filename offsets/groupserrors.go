package offsets

import (
	"errors"
	"fmt"
	"strings"
)

// ErrLeftOut is what [PlanConfig].Translate answers for an offset that is none of the plan's business: it gets no line.
var ErrLeftOut = errors.New("offsets: left out")

// ConfigError is a configuration that can't be used: all faults at once, before any I/O.
type ConfigError struct{ Errs []error }

func (e *ConfigError) Error() string {
	return "offsets: config: " + strings.ReplaceAll(errors.Join(e.Errs...).Error(), "\n", "; ")
}

// Unwrap are the faults.
func (e *ConfigError) Unwrap() []error { return e.Errs }

func notGiven(name string) error {
	return &ConfigError{Errs: []error{fmt.Errorf("%s is missing", name)}}
}

// ClusterError says that a plan, or what was there before it, is of another cluster. Nothing was changed.
type ClusterError struct{ Want, Have string }

func (e *ClusterError) Error() string {
	return fmt.Sprintf("offsets: this is for cluster %s, and the client's cluster is %s", e.Want, e.Have)
}

// RefusedError says what is refused, by name. Nothing was changed.
type RefusedError struct{ Refused []Refusal }

func (e *RefusedError) Error() string {
	const most = 8
	var b strings.Builder
	b.WriteString("offsets: refused: ")
	for i, r := range e.Refused {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(e.Refused)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(r.String())
	}
	return b.String()
}

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
func (r Refusal) String() string {
	if r.Topic == "" {
		return fmt.Sprintf("group %s: %s: %s", r.Group, r.Why, r.Detail)
	}
	return fmt.Sprintf("group %s: %s/%d at %d: %s: %s", r.Group, r.Topic, r.Partition, r.Offset, r.Why, r.Detail)
}

// GroupError is an error of one group; the others aren't touched by it.
type GroupError struct {
	Group string
	Op    string // fetch, commit, delete
	Err   error
}

func (e *GroupError) Error() string {
	return fmt.Sprintf("offsets: group %s: %s: %v", e.Group, e.Op, e.Err)
}

// Unwrap is the cause.
func (e *GroupError) Unwrap() error { return e.Err }

// PartitionError is a broker's answer for one partition of a group.
type PartitionError struct {
	Topic     string
	Partition int32
	Err       error
}

func (e *PartitionError) Error() string { return fmt.Sprintf("%s/%d: %v", e.Topic, e.Partition, e.Err) }

// Unwrap is the cause.
func (e *PartitionError) Unwrap() error { return e.Err }
