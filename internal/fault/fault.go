// Package fault has the errors that all jobs share, so that one errors.As finds them whichever job
// they are of. backup, restore, mirror, offsets and failover have them under their own names.
//
// # Guarantee
//
// Texts begin with the job's name, are one line, and print names as [quote.Name] does. Every error
// unwraps to its causes.
//
// # Limits
//
// What only one job can say (a truncated source, a vetoed step) is that job's own type.
package fault

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kafkadr/kafkadr/internal/quote"
)

// ConfigError lists what is wrong with a configuration, all of it. No I/O was done.
type ConfigError struct {
	// Job is whose configuration it is: backup, restore, mirror, offsets, mm2, failover, drill.
	Job string
	// Errs are the faults, at least one.
	Errs []error
}

// Config is a *[ConfigError] of a job, or nil where there are no faults.
func Config(job string, faults ...error) error {
	if len(faults) == 0 {
		return nil
	}
	return &ConfigError{Job: job, Errs: faults}
}

func (e *ConfigError) Error() string {
	return e.Job + ": configuration: " + strings.ReplaceAll(errors.Join(e.Errs...).Error(), "\n", "; ")
}

// Unwrap returns the faults.
func (e *ConfigError) Unwrap() []error { return e.Errs }

// Conflict is a reason to refuse. Place is what it is about: a group, a topic, or a partition of
// one.
type Conflict struct {
	// Group is a consumer group, or empty.
	Group string `json:"group,omitempty"`
	// Topic is empty where it is no topic's.
	Topic string `json:"topic,omitempty"`
	// Partition is -1 where it is a whole topic's, or no topic's.
	Partition int32 `json:"partition"`
	// Offset is -1 where it is a whole topic's, or no topic's.
	Offset int64 `json:"offset"`
	// Kind is a word that programs may rely on; the job's documentation lists them.
	Kind string `json:"kind"`
	// Detail is a sentence for people.
	Detail string `json:"detail"`
}

// String is the conflict's place, kind and detail.
func (c Conflict) String() string {
	var at string
	if c.Group != "" {
		at = "group " + quote.Name(c.Group) + ": "
	}
	switch {
	case c.Topic == "":
	case c.Partition < 0:
		at += quote.Name(c.Topic) + ": "
	default:
		at += fmt.Sprintf("%s/%d at %d: ", quote.Name(c.Topic), c.Partition, c.Offset)
	}
	return fmt.Sprintf("%s%s: %s", at, c.Kind, c.Detail)
}

// RefusedError is a plan that has conflicts. Nothing was changed, except where the job's
// documentation says what.
type RefusedError struct {
	// Job is whose plan it is: restore, mirror, offsets, failover.
	Job       string
	Conflicts []Conflict
}

func (e *RefusedError) Error() string {
	const show = 8
	texts := make([]string, 0, show+1)
	for i, c := range e.Conflicts {
		if i == show {
			texts = append(texts, fmt.Sprintf("and %d more", len(e.Conflicts)-i))
			break
		}
		texts = append(texts, c.String())
	}
	return e.Job + ": refused: " + strings.Join(texts, "; ")
}

// PartitionError is an error with its place.
type PartitionError struct {
	// Job is what was under way: backup, restore, mirror, offsets.
	Job       string
	Topic     string
	Partition int32
	// Offset is how far the job had come, or where the error is. It is -1 where it is of the
	// partition as a whole.
	Offset int64
	// Op is what failed, a word or two, or empty.
	Op  string
	Err error
}

func (e *PartitionError) Error() string {
	s := fmt.Sprintf("%s: %s/%d", e.Job, quote.Name(e.Topic), e.Partition)
	if e.Offset >= 0 {
		s += fmt.Sprintf(" at %d", e.Offset)
	}
	if e.Op != "" {
		s += ": " + e.Op
	}
	return s + ": " + e.Err.Error()
}

// Unwrap is the cause.
func (e *PartitionError) Unwrap() error { return e.Err }

// Few are the texts of errors without their job's name, at most three, for an error that stands for
// all of them.
func Few(job string, errs []error) string {
	const show = 3
	texts := make([]string, 0, show+1)
	for _, err := range errs[:min(show, len(errs))] {
		texts = append(texts, strings.TrimPrefix(err.Error(), job+": "))
	}
	if len(errs) > show {
		texts = append(texts, "…")
	}
	return strings.Join(texts, "; ")
}
