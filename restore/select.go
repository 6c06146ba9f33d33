package restore

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/storage"
)

// maxName is the longest topic name that Kafka takes.
const maxName = 249

// legalName says whether s has only characters that topic names may have.
func legalName(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	})
}

// selection decides which topics are restored and what they are called.
type selection struct {
	topics, exclude []*regexp.Regexp
	literals        map[string]bool // asked for by name: found?
	prefix          string
	rename          map[string]string
}

func newSelection(cfg *Config) (*selection, error) {
	s := &selection{literals: map[string]bool{}, prefix: cfg.Prefix, rename: cfg.Rename}
	for _, p := range cfg.Topics {
		if p != "" && legalName(p) {
			s.literals[p] = false
		}
	}
	var err error
	if s.topics, err = anchored(cfg.Topics); err != nil {
		return nil, err
	}
	s.exclude, err = anchored(cfg.Exclude)
	return s, err
}

func anchored(patterns []string) ([]*regexp.Regexp, error) {
	var res []*regexp.Regexp
	for _, p := range patterns {
		re, err := regexp.Compile("^(?:" + p + ")$")
		if err != nil {
			return nil, fmt.Errorf("restore: topics: %w", err)
		}
		res = append(res, re)
	}
	return res, nil
}

func (s *selection) selected(name string) bool {
	matches := func(re *regexp.Regexp) bool { return re.MatchString(name) }
	return (len(s.topics) == 0 || slices.ContainsFunc(s.topics, matches)) && !slices.ContainsFunc(s.exclude, matches)
}

// target is the name that a source topic gets.
func (s *selection) target(name string) string {
	if to, ok := s.rename[name]; ok {
		return to
	}
	return s.prefix + name
}

// choose reads the snapshot's topics and returns those to restore, in order.
func (s *selection) choose(ctx context.Context, cfg *Config) ([]*topicJob, error) {
	newest := map[string]storage.Topic{}
	for t, err := range cfg.Snapshot.Topics(ctx) {
		if err != nil {
			return nil, fmt.Errorf("restore: topics: %w", err)
		}
		_, literal := s.literals[t.Name]
		if t.Internal || !s.selected(t.Name) || (!t.Deleted.IsZero() || t.Name == ledger.Topic) && !literal {
			continue
		}
		if old, ok := newest[t.Name]; !ok || later(t, old) {
			newest[t.Name] = t
		}
		if literal {
			s.literals[t.Name] = true
		}
	}
	var jobs []*topicJob
	for _, t := range newest {
		jobs = append(jobs, &topicJob{source: t, name: s.target(t.Name)})
	}
	if err := s.unknown(cfg, newest); err != nil {
		return nil, err
	}
	if len(jobs) == 0 && len(cfg.Topics) > 0 {
		return nil, &UnknownTopicError{Topic: strings.Join(cfg.Topics, " ")}
	}
	place := map[string]int{}
	for i, name := range cfg.Order {
		place[name] = i - len(cfg.Order)
	}
	slices.SortFunc(jobs, func(a, b *topicJob) int {
		return cmp.Or(cmp.Compare(place[a.source.Name], place[b.source.Name]), cmp.Compare(a.source.Name, b.source.Name))
	})
	return jobs, nil
}

// later says whether an incarnation is newer than another: a live one, or the one that was deleted last.
func later(t, than storage.Topic) bool {
	if !than.Deleted.IsZero() && t.Deleted.IsZero() {
		return true
	}
	return !than.Deleted.IsZero() && t.Deleted.After(than.Deleted)
}

// unknown finds literal names that the snapshot doesn't hold.
func (s *selection) unknown(cfg *Config, found map[string]storage.Topic) error {
	for name, ok := range s.literals {
		if !ok && s.selected(name) {
			return &UnknownTopicError{Topic: name}
		}
	}
	for _, name := range cfg.Order {
		if _, ok := found[name]; !ok {
			return &UnknownTopicError{Topic: name}
		}
	}
	for name := range cfg.Rename {
		if _, ok := found[name]; !ok {
			return &UnknownTopicError{Topic: name}
		}
	}
	return nil
}

// collisions finds target names that two topics would get.
func collisions(jobs []*topicJob) []Conflict {
	var cs []Conflict
	seen := map[string]string{}
	for _, j := range jobs {
		if other, ok := seen[j.name]; ok {
			cs = append(cs, topicConflict(j.name, "name", "both %q and %q would get this name", other, j.source.Name))
		}
		if len(j.name) > maxName {
			cs = append(cs, topicConflict(j.name, "name", "longer than %d characters", maxName))
		}
		seen[j.name] = j.source.Name
	}
	return cs
}
