package backup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/internal/topics"
)

const (
	// goneAfter is how long no broker may have a topic until a Run believes it.
	goneAfter = 2 * time.Second
	// madeWithin is how long a Run waits for a topic that is being made.
	madeWithin = 30 * time.Second
)

// leftOut are topics that aren't backed up, with the reasons.
type leftOut map[string]topics.Reason

// names are those that the selection left out, by name; what is a cluster's own isn't the
// selection's doing.
func (l leftOut) names() []string {
	names := slices.Sorted(maps.Keys(l))
	return slices.DeleteFunc(names, func(name string) bool { return l[name] == topics.Never || l[name] == topics.Own })
}

func (l leftOut) why() map[string]string {
	why := make(map[string]string, len(l))
	for name, reason := range l {
		why[name] = string(reason)
	}
	return why
}

// seen are the source's topics, as a look has found them.
type seen struct {
	selected map[string]rawkafka.Topic
	left     leftOut
	became   map[source.Known]source.Verdict
}

// divide divides topics by the selection.
func divide(l source.Look, sel *topics.Selection) seen {
	s := seen{selected: make(map[string]rawkafka.Topic), left: make(leftOut), became: l.Verdicts}
	for name, t := range l.Topics {
		if why := sel.Why(name, t.Internal); why != "" {
			s.left[name] = why
		} else {
			s.selected[name] = t
		}
	}
	return s
}

// query asks for the source's topics by the selection. whole has every broker list them.
func query(c *rawkafka.Cluster, sel *topics.Selection, whole bool) source.Query {
	return source.Query{
		Cluster: c, Everywhere: whole, Named: sel.Names(),
		Takes: func(t rawkafka.Topic) bool { return sel.Takes(t.Name, t.Internal) },
	}
}

// selectTopics asks every broker for the cluster's topics and divides them by the configuration.
// Those that are being made are waited for. A name that was asked for and doesn't exist is an
// *[UnknownTopicError], and so is a selection of nothing: an empty snapshot would be the latest.
func selectTopics(ctx context.Context, c *rawkafka.Cluster, cfg Config) (seen, error) {
	l, err := source.New(goneAfter).Settle(ctx, query(c, cfg.selection, true), madeWithin)
	if err != nil {
		return seen{}, fmt.Errorf("backup: %w", err)
	}
	s := divide(l, cfg.selection)
	for _, name := range cfg.selection.Names() {
		if _, ok := l.Topics[name]; !ok {
			return s, &UnknownTopicError{Topic: name}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.selected)) {
		if t := s.selected[name]; t.Err != nil {
			return s, fmt.Errorf("backup: %s: metadata: %w", name, t.Err)
		}
	}
	if len(s.selected) == 0 && len(cfg.Topics) > 0 {
		return s, &UnknownTopicError{Topic: strings.Join(cfg.Topics, " ")}
	}
	return s, nil
}

// known are the incarnations that the archive holds and the source has, as far as is known.
func (e *engine) known() []source.Known {
	e.mu.Lock()
	defer e.mu.Unlock()
	known := make([]source.Known, 0, len(e.topics))
	for _, t := range e.topics {
		if t.Deleted.IsZero() {
			known = append(known, t.known())
		}
	}
	return known
}

func (t *topic) known() source.Known { return source.Known{Name: t.Name, ID: t.ID} }

// look looks at the source's topics: at all of them, or at those that are named. A job that ends
// waits until nothing is in doubt.
func (e *engine) look(ctx context.Context, q source.Query) (l source.Look, err error) {
	if e.patience > 0 {
		l, err = e.catalog.Look(ctx, q)
	} else {
		l, err = e.catalog.Settle(ctx, q, 0)
	}
	if err != nil {
		return l, fmt.Errorf("topics: %w", err)
	}
	return l, nil
}
