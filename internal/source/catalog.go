package source

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Cluster is what a Catalog asks: a [*rawkafka.Cluster].
type Cluster interface {
	Topics(ctx context.Context, names ...string) (map[string]rawkafka.Topic, error)
	Everywhere(ctx context.Context, names ...string) ([]map[string]rawkafka.Topic, error)
}

// Catalog knows which topics a cluster has, and what has become of those that are followed. It
// isn't safe for concurrent use.
type Catalog struct {
	after  time.Duration
	topics map[Known]topic // those that aren't there, as of the last looks that asked for them
}

// New makes a catalog. after is how long no broker may have a topic until it is gone.
func New(after time.Duration) *Catalog {
	return &Catalog{after: after, topics: make(map[Known]topic)}
}

// Query is what a look is about.
type Query struct {
	// Cluster is asked.
	Cluster Cluster
	// Everywhere has every broker list the topics, as a cut needs it; else one broker does, and the
	// others are asked only for what is new, or seems to be gone.
	Everywhere bool
	// Only are the topics to look for. Default: all.
	Only []string
	// Named are topics that were asked for by name: a broker lists only those that may be
	// described.
	Named []string
	// Known are the incarnations that are followed.
	Known []Known
	// Takes says which topics matter. Default: all.
	Takes func(rawkafka.Topic) bool
}

// Look is what was seen. Topics that no broker knows aren't in it, unless they were to be looked
// for: Err says so.
type Look struct {
	Topics   map[string]rawkafka.Topic
	Verdicts map[Known]Verdict
}

// Look looks at a cluster's topics.
func (c *Catalog) Look(ctx context.Context, q Query) (Look, error) {
	ids := make(map[string]kadm.TopicID, len(q.Known))
	for _, k := range q.Known {
		ids[k.Name] = k.ID
	}
	all, err := list(ctx, q, ids)
	if err != nil {
		return Look{}, err
	}
	var views []View
	if doubtful := doubtful(q, all, ids); len(doubtful) > 0 {
		if views, err = q.Cluster.Everywhere(ctx, doubtful...); err != nil {
			return Look{}, err
		}
		sure := Union(views, ids)
		for _, name := range doubtful {
			if t, ok := sure[name]; ok {
				all[name] = t
			} else {
				delete(all, name)
			}
		}
	}
	for _, name := range q.Only {
		if _, ok := all[name]; !ok {
			all[name] = absent(name)
		}
	}
	return Look{Topics: all, Verdicts: c.judge(q.Known, all, views)}, nil
}

// absent is a topic that no broker knows.
func absent(name string) rawkafka.Topic {
	return rawkafka.Topic{Name: name, Err: kerr.UnknownTopicOrPartition}
}

func list(ctx context.Context, q Query, ids map[string]kadm.TopicID) (View, error) {
	if q.Everywhere {
		views, err := q.Cluster.Everywhere(ctx, q.Only...)
		return Union(views, ids), err
	}
	return q.Cluster.Topics(ctx, q.Only...)
}

// doubtful are the topics that one broker's word, or its silence, isn't enough for.
func doubtful(q Query, all View, ids map[string]kadm.TopicID) []string {
	names := make(map[string]bool)
	for _, k := range q.Known {
		if t, ok := all[k.Name]; !ok || t.Err != nil || !k.is(t) {
			names[k.Name] = true
		}
	}
	for _, name := range q.Named {
		if _, ok := all[name]; !ok {
			names[name] = true
		}
	}
	for name, t := range all {
		if _, known := ids[name]; !known && !q.Everywhere && (q.Takes == nil || q.Takes(t)) {
			names[name] = true
		}
	}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

// forget is how long it is kept that a topic is gone: then it would be seen anew.
const forget = time.Hour

// judge takes what was seen into the states.
func (c *Catalog) judge(known []Known, all View, views []View) map[Known]Verdict {
	now := time.Now()
	maps.DeleteFunc(c.topics, func(_ Known, t topic) bool { return now.Sub(t.since) > forget+c.after })
	verdicts := make(map[Known]Verdict, len(known))
	for _, k := range known {
		is, ok := all[k.Name]
		if !ok {
			is = absent(k.Name)
		}
		fact := Here
		if is.Err != nil || !k.is(is) {
			fact = factOf(views, k)
		}
		t := c.topics[k].next(fact, now, c.after)
		if c.topics[k] = t; t.state == Present {
			delete(c.topics, k)
		}
		verdicts[k] = Verdict{State: t.state, Now: is}
	}
	return verdicts
}

// again is the pause of Settle.
const again = 200 * time.Millisecond

// Settle looks until nothing is doubted any more, and no topic that matters is still being made, no
// longer than wait for these. It is for jobs that end.
func (c *Catalog) Settle(ctx context.Context, q Query, wait time.Duration) (Look, error) {
	for began := time.Now(); ; {
		l, err := c.Look(ctx, q)
		if err != nil || l.settled(q, time.Since(began) < wait) {
			return l, err
		}
		if err := rawkafka.Sleep(ctx, again); err != nil {
			return l, err
		}
	}
}

func (l Look) settled(q Query, waits bool) bool {
	for _, v := range l.Verdicts {
		if v.State == Doubted {
			return false
		}
	}
	for _, t := range l.Topics {
		if waits && (q.Takes == nil || q.Takes(t)) && beingMade(t) {
			return false
		}
	}
	return true
}

// beingMade says that a topic has no partitions yet, or isn't settled.
func beingMade(t rawkafka.Topic) bool {
	return rawkafka.Retriable(t.Err) || t.Err == nil && len(t.Partitions) == 0
}
