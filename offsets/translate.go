package offsets

import (
	"cmp"
	"context"
	"fmt"
)

// How says how an offset was translated.
type How string

// How an offset was translated; [Map.Translate] says what each means for a group.
const (
	HowExact       How = "exact"        // the same record, or the same end
	HowNext        How = "next"         // the offset is in a hole: the next record
	HowBeforeStart How = "before_start" // the offset is before what was copied: the copy's start
	HowPastEnd     How = "past_end"     // the offset is past what was copied: the copy's end
	HowUnknown     How = "unknown"      // no answer; the offset is -1
)

// Translated is what became of an offset.
type Translated struct {
	// Topic is the target's, empty where How is unknown and it isn't known either.
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Offset is the target's, -1 where How is unknown.
	Offset int64 `json:"offset"`
	How    How   `json:"how"`
	// Evidence says in words what the answer rests on.
	Evidence string `json:"evidence"`
}

// Translator translates offsets of a source's partitions into those of their
// copies. What it doesn't know it answers with [HowUnknown] and no error; an
// error is that of a lookup that failed. Translators are safe for concurrent use.
type Translator interface {
	Translate(ctx context.Context, topic string, partition int32, upstream int64) (Translated, error)
}

// Exact translates for exact copies: offsets are the same. It asks no cluster:
// that the copy is exact, and how far it goes, is for the caller to know.
type Exact struct {
	// Rename gives a topic's name in the target. Default: the same.
	Rename func(topic string) string
}

// Translate returns the same offset; its error is nil.
func (e Exact) Translate(_ context.Context, topic string, partition int32, upstreamOffset int64) (Translated, error) {
	if e.Rename != nil {
		topic = e.Rename(topic)
	}
	t := Translated{Topic: topic, Partition: partition, Offset: upstreamOffset, How: HowExact, Evidence: "exact copy: the same offset"}
	if upstreamOffset < 0 {
		t.Offset, t.How, t.Evidence = -1, HowUnknown, "no offset is negative"
	}
	return t, nil
}

// Maps translates through maps, at most one for each partition. Make one with
// [NewMaps]; the zero Maps knows nothing. The maps must not be appended to while it is in use.
type Maps struct {
	maps map[place]*Map
}

type place struct {
	topic     string
	partition int32
}

// NewMaps makes a translator of maps of one source cluster. Two for the same
// topic and partition are two incarnations, or two copies: a name doesn't say
// which is meant, so that is an *[IncarnationError], as is a second cluster.
func NewMaps(maps ...*Map) (*Maps, error) {
	t := &Maps{maps: make(map[place]*Map, len(maps))}
	var first *Map
	for _, m := range maps {
		if m == nil {
			continue
		}
		first = cmp.Or(first, m)
		at := place{m.id.Topic, m.id.Partition}
		if other := t.maps[at]; other != nil {
			return nil, &IncarnationError{Map: other.id, Want: m.id}
		}
		if m.id.SourceCluster != first.id.SourceCluster {
			return nil, &IncarnationError{Map: first.id, Want: m.id}
		}
		t.maps[at] = m
	}
	return t, nil
}

// Translate returns what the partition's map says, and [HowUnknown] where
// there is no map; its error is nil.
func (t *Maps) Translate(_ context.Context, topic string, partition int32, upstreamOffset int64) (Translated, error) {
	var m *Map
	if t != nil {
		m = t.maps[place{topic, partition}]
	}
	if m == nil {
		return Translated{Partition: partition, Offset: -1, How: HowUnknown, Evidence: "no map for this partition"}, nil
	}
	offset, how := m.Translate(upstreamOffset)
	return Translated{Topic: m.id.TargetTopic, Partition: partition, Offset: offset, How: how, Evidence: m.evidence()}, nil
}

// evidence says what the map rests on.
func (m *Map) evidence() string {
	return fmt.Sprintf("map of source topic ID %v: %d to %d is %d to %d in %d runs", m.id.SourceTopicID,
		m.start[upstream], m.end[upstream], m.start[downstream], m.end[downstream], len(m.runs))
}
