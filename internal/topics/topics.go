// Package topics says which topics are copied. Backups, mirrors, restores and switches all use this
// one selection.
//
// A text that has only characters of topic names is a name, and matches the topic of that name
// alone: test.a isn't test-a. Every other text is a regular expression for the whole name.
//
// # Topics that are a cluster's own
//
// Some are never copied: __consumer_offsets, __transaction_state, __share_group_state,
// __cluster_metadata. To name one is an [*InternalTopicError]. Others are copied only where they
// are named: __remote_log_metadata, all that begin with __kafkadr, the probe's canary topic, those
// of managed services and of Cruise Control, and whatever else the cluster calls internal. An
// expression doesn't name them.
package topics

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// MaxName is the length of Kafka's longest topic name.
const MaxName = 249

// Reason says why a topic is left out. None, "", is that of a topic that is taken.
type Reason string

// Reasons to leave a topic out.
const (
	NotMatched Reason = "nothing that was asked for matches it"
	Excluded   Reason = "it is excluded"
	Never      Reason = "it is Kafka's own and never copied"
	Own        Reason = "it is the cluster's own, copied only where it is named"
)

// Selection chooses topics by name. It is immutable.
type Selection struct{ take, leave patterns }

// New makes a selection of what is asked for and what is excluded. Without topics, all are asked
// for. Its error has all faults: expressions that can't be compiled, and an [*InternalTopicError]
// for each name that is never copied.
func New(topics, exclude []string) (*Selection, error) {
	s := &Selection{}
	var errs []error
	for _, l := range []struct {
		texts []string
		into  *patterns
	}{{topics, &s.take}, {exclude, &s.leave}} {
		ps, faults := compile(l.texts)
		*l.into, errs = ps, append(errs, faults...)
	}
	for _, name := range s.Names() {
		if why := never[name]; why != "" {
			errs = append(errs, &InternalTopicError{Topic: name, Why: why})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// Takes says whether a topic is copied. internal is what the cluster says of it.
func (s *Selection) Takes(name string, internal bool) bool { return s.Why(name, internal) == "" }

// Why says why a topic is left out; "" of one that is taken. Of a topic that isn't asked for, that
// is the reason, whatever else there is.
func (s *Selection) Why(name string, internal bool) Reason {
	switch {
	case len(s.take) > 0 && !s.take.match(name):
		return NotMatched
	case s.leave.match(name):
		return Excluded
	case never[name] != "":
		return Never
	case (internal || owned(name)) && !s.Named(name):
		return Own
	}
	return ""
}

// Names are the names among what is asked for, each once, in order.
func (s *Selection) Names() []string {
	var names []string
	for _, p := range s.take {
		if p.re == nil && !slices.Contains(names, p.text) {
			names = append(names, p.text)
		}
	}
	return names
}

// Named says whether a topic is asked for by its name.
func (s *Selection) Named(name string) bool {
	return slices.ContainsFunc(s.take, func(p pattern) bool { return p.re == nil && p.text == name })
}

// All says that no topic is asked for in particular.
func (s *Selection) All() bool { return len(s.take) == 0 }

// pattern is a regular expression, or a name where re is nil.
type pattern struct {
	text string
	re   *regexp.Regexp
}

type patterns []pattern

func compile(texts []string) (ps patterns, errs []error) {
	for _, text := range texts {
		if IsName(text) {
			ps = append(ps, pattern{text: text})
			continue
		}
		re, err := regexp.Compile("^(?:" + text + ")$")
		if err != nil {
			errs = append(errs, fmt.Errorf("topics %q: %w", text, err))
			continue
		}
		ps = append(ps, pattern{text: text, re: re})
	}
	return ps, errs
}

func (ps patterns) match(name string) bool {
	return slices.ContainsFunc(ps, func(p pattern) bool {
		if p.re == nil {
			return p.text == name
		}
		return p.re.MatchString(name)
	})
}

// IsName says whether a text is a topic's name by Kafka's rule
// (org.apache.kafka.common.internals.Topic).
func IsName(text string) bool {
	return text != "" && text != "." && text != ".." && len(text) <= MaxName && Legal(text)
}

// Legal says whether a text has only characters that topic names may have.
func Legal(text string) bool {
	const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return strings.Trim(text, legal) == ""
}
