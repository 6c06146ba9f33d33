package restore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/internal/topics"
	"github.com/kafkadr/kafkadr/storage"
)

// selection decides which topics are restored and what they are called.
type selection struct {
	*topics.Selection
	prefix string
	rename map[string]string
}

func newSelection(cfg *Config) (*selection, error) {
	sel, err := topics.New(cfg.Topics, cfg.Exclude)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	return &selection{Selection: sel, prefix: cfg.Prefix, rename: cfg.Rename}, nil
}

// target is the name that a source topic gets.
func (s *selection) target(name string) string {
	if to, ok := s.rename[name]; ok {
		return to
	}
	return s.prefix + name
}

// choose reads the snapshot's topics and returns those to restore, in order, and why others can't
// be read.
func (s *selection) choose(ctx context.Context, cfg *Config) (jobs []*topicJob, lost []unread, err error) {
	newest := map[string]storage.Topic{}
	var first error
	for t, err := range cfg.Snapshot.Topics(ctx) {
		if f, ok := unreadOf(err); ok {
			first, lost = cmp.Or(first, err), append(lost, f)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("restore: topics: %w", err)
		}
		if !s.Takes(t.Name, t.Internal) || !t.Deleted.IsZero() && !s.Named(t.Name) {
			continue
		}
		if old, ok := newest[t.Name]; !ok || later(t, old) {
			newest[t.Name] = t
		}
	}
	for _, t := range newest {
		jobs = append(jobs, &topicJob{source: t, name: s.target(t.Name)})
	}
	err = s.unknown(cfg, newest)
	if err == nil && len(jobs) == 0 && (len(cfg.Topics) > 0 || first != nil) {
		err = &UnknownTopicError{Topic: strings.Join(cfg.Topics, " ")}
	}
	if err != nil && first != nil {
		err = fmt.Errorf("restore: topics: %w", first)
	}
	if err != nil {
		return nil, nil, err
	}
	place := map[string]int{}
	for i, name := range cfg.Order {
		place[name] = i - len(cfg.Order)
	}
	slices.SortFunc(jobs, func(a, b *topicJob) int {
		return cmp.Or(cmp.Compare(place[a.source.Name], place[b.source.Name]), cmp.Compare(a.source.Name, b.source.Name))
	})
	return jobs, lost, nil
}

// later says whether an incarnation is newer than another: a live one, or the one that was deleted
// last.
func later(t, than storage.Topic) bool {
	if !than.Deleted.IsZero() && t.Deleted.IsZero() {
		return true
	}
	return !than.Deleted.IsZero() && t.Deleted.After(than.Deleted)
}

// unknown finds literal names that the snapshot doesn't hold.
func (s *selection) unknown(cfg *Config, found map[string]storage.Topic) error {
	for _, name := range s.Names() {
		if _, ok := found[name]; !ok && s.Why(name, false) == "" {
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
		if len(j.name) > topics.MaxName {
			cs = append(cs, topicConflict(j.name, "name", "longer than %d characters", topics.MaxName))
		}
		seen[j.name] = j.source.Name
	}
	return cs
}
