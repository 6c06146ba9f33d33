package mirror

import (
	"slices"
	"sync"
)

// refusals are topics that the target doesn't take, by the source's names.
type refusals struct {
	mu sync.Mutex
	by map[string]*EventError
}

// add notes that a topic isn't taken.
func (r *refusals) add(topic string, why *EventError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[string]*EventError)
	}
	r.by[topic] = why
}

// forget notes that a topic is taken.
func (r *refusals) forget(topic string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, topic)
}

// forgetAll forgets some topics, or, where none is named, all, and returns those that were refused.
func (r *refusals) forgetAll(topics []string) (were []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic := range r.by {
		if len(topics) == 0 || slices.Contains(topics, topic) {
			delete(r.by, topic)
			were = append(were, topic)
		}
	}
	return were
}

// has says that a topic isn't taken.
func (r *refusals) has(topic string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[topic] != nil
}

// final says that a topic isn't taken, and isn't to be tried again.
func (r *refusals) final(topic string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	why := r.by[topic]
	return why != nil && why.Event.Policy == Stop && (why.Event.Kind == TopicRefused || why.Event.Kind == Denied)
}

// errs are all of them.
func (r *refusals) errs() (errs []error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, why := range r.by {
		errs = append(errs, why)
	}
	return errs
}
