package instep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Begin gives topics that are there already the configs that a copy needs before its first record
// comes: one that stamps records itself would make the copy wrong at once. Those that aren't
// [Topic.Ready], which are empty and that no mirror has begun yet, are held as new ones are.
// refused says why not, by the copy's name.
func (s *Configs) Begin(ctx context.Context, topics []Topic) (refused map[string]error, err error) {
	ctx, cancel := s.sides.budget(ctx)
	defer cancel()
	s.notices.begin()
	refused = map[string]error{}
	for chunk := range slices.Chunk(topics, alterTopics) {
		changes, err := s.beginnings(ctx, chunk)
		if rawkafka.Denies(err) { // to read them: the first answer of a produce tells
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("instep: configs: %w", err)
		}
		var r Report
		for name, err := range s.begin(ctx, &r, changes) {
			refused[name] = err
		}
		if err := ended(ctx); err != nil {
			return nil, err
		}
	}
	return refused, nil
}

// beginnings are what is to be set before a first record, of those that need it.
func (s *Configs) beginnings(ctx context.Context, topics []Topic) ([]ConfigChange, error) {
	var r Report
	dst, err := s.describe(ctx, &r, s.sides.Target, topics, func(t Topic) string { return t.Target })
	if err != nil {
		return nil, err
	}
	src, err := s.describe(ctx, &r, s.sides.Source, topics, func(t Topic) string { return t.Source })
	if err != nil {
		return nil, err
	}
	var changes []ConfigChange
	for _, t := range topics {
		is, ok := dst[t.Target]
		if !ok { // its first answer tells
			continue
		}
		c, err := s.beginning(t, src[t.Source], is)
		if err != nil {
			return nil, err
		}
		if !c.empty() {
			changes = append(changes, c)
		}
	}
	return changes, nil
}

func (s *Configs) beginning(t Topic, src, is settings) (ConfigChange, error) {
	var note configsNote
	if _, err := s.sides.Ledger.Get(configsKey(t.Target), &note); err != nil {
		return ConfigChange{}, err
	}
	c := ConfigChange{Topic: t.Target, Set: map[string]string{}, id: t.TargetID.String()}
	want := fixed()
	if note.ID == c.id {
		c.owned = slices.Clone(note.Set)
	} else if !t.Ready {
		maps.Copy(want, HeldConfigs())
	}
	largest(want, src, is)
	for name, value := range want {
		if is[name].value != value {
			c.set(name, value, is[name])
		}
	}
	slices.Sort(c.owned)
	c.owned = slices.Compact(c.owned)
	c.later = c.owned
	return c, nil
}

// begin notes what becomes ours, and sets it. It returns the refused.
func (s *Configs) begin(ctx context.Context, r *Report, changes []ConfigChange) map[string]error {
	refused := map[string]error{}
	if len(changes) == 0 {
		return nil
	}
	put := map[string]any{}
	for _, c := range changes {
		put[configsKey(c.Topic)] = configsNote{ID: c.id, Set: c.owned}
	}
	if err := s.sides.Ledger.Put(ctx, put); err != nil {
		for _, c := range changes {
			refused[c.Topic] = err
		}
		return refused
	}
	done := s.alter(ctx, r, changes, false)
	for _, c := range changes {
		if done[c.Topic] {
			continue
		}
		why := []error{errors.New("its configs can't be made what a copy needs")}
		for _, e := range r.Events {
			if e.Topic == c.Topic {
				why = append(why, errors.New(e.Detail))
			}
		}
		refused[c.Topic] = fmt.Errorf("%w", errors.Join(why...))
	}
	return refused
}

// Begun says that a topic is one that a mirror has begun to copy to, or has created.
func (s *Configs) Begun(t Topic) bool {
	var note configsNote
	ok, err := s.sides.Ledger.Get(configsKey(t.Target), &note)
	return err == nil && ok && (note.ID == "" || note.ID == t.TargetID.String())
}
