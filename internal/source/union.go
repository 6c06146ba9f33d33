package source

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// View is what one broker says, by topic.
type View = map[string]rawkafka.Topic

// Union is what brokers together say of all topics. known are the incarnations that are followed,
// by name: one that any broker has is the topic's, since the others may lag behind as well as be
// ahead.
func Union(views []View, known map[string]kadm.TopicID) View {
	all := make(View)
	for _, v := range views {
		for name := range v {
			if _, ok := all[name]; !ok {
				all[name] = unite(views, name, known[name])
			}
		}
	}
	return all
}

// unite is what brokers together say of a topic that at least one has: the known incarnation, else
// the one that most have; of those in equal halves none, until they agree.
func unite(views []View, name string, known kadm.TopicID) rawkafka.Topic {
	said := make(map[kadm.TopicID][]rawkafka.Topic)
	var fault rawkafka.Topic
	for _, v := range views {
		t, ok := v[name]
		switch {
		case !ok:
		case t.Err == nil && len(t.Partitions) > 0:
			said[t.ID] = append(said[t.ID], t)
		case fault.Name == "" || t.Err != nil && !rawkafka.Retriable(t.Err):
			fault = t
		}
	}
	if ts := said[known]; len(ts) > 0 {
		return partitionsOf(ts)
	}
	var most []rawkafka.Topic
	for _, ts := range said {
		if len(ts) > len(most) {
			most = ts
		}
	}
	switch {
	case len(most) == 0:
		return fault
	case isEven(said, len(most)):
		return rawkafka.Topic{Name: name, Err: kerr.LeaderNotAvailable}
	}
	return partitionsOf(most)
}

// isEven says that more than one incarnation has the most votes.
func isEven(said map[kadm.TopicID][]rawkafka.Topic, most int) bool {
	n := 0
	for _, ts := range said {
		if len(ts) == most {
			n++
		}
	}
	return n > 1
}

// partitionsOf is one incarnation with the partitions that any broker has, each as of its latest
// leader epoch.
func partitionsOf(ts []rawkafka.Topic) rawkafka.Topic {
	all := ts[0]
	all.Partitions = slices.Clone(all.Partitions)
	for _, t := range ts[1:] {
		for i, p := range t.Partitions {
			switch {
			case i >= len(all.Partitions):
				all.Partitions = append(all.Partitions, p)
			case p.LeaderEpoch > all.Partitions[i].LeaderEpoch || p.LeaderEpoch == all.Partitions[i].LeaderEpoch && all.Partitions[i].Leader < 0:
				all.Partitions[i] = p
			}
		}
	}
	return all
}
