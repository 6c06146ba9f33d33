package offsets

import (
	"fmt"
	"strings"
)

// MapError says which run a map refuses, and why. The map is as it was before.
type MapError struct {
	ID ID
	// Index is the run's, counted from 0; -1 if it is the map's start.
	Index int
	// Run is what was to be added, UpstreamEnd and DownstreamEnd the map's ends before.
	Run                        Run
	UpstreamEnd, DownstreamEnd int64
	Reason                     string
}

func (e *MapError) Error() string {
	return fmt.Sprintf("offsets: %s/%d at %d: run %d (%d records to %d of %s) after %d and %d: %s", e.ID.Topic, e.ID.Partition, e.Run.Upstream,
		e.Index, e.Run.Length, e.Run.Downstream, e.ID.TargetTopic, e.UpstreamEnd, e.DownstreamEnd, e.Reason)
}

func (m *Map) fault(index int, r Run, reason string) error {
	return &MapError{ID: m.id, Index: index, Run: r, UpstreamEnd: m.end[upstream], DownstreamEnd: m.end[downstream], Reason: reason}
}

// IncarnationError says that a map is of something else than asked for:
// another cluster, another partition, or another life of a topic's name.
// Translating with it would be a guess.
type IncarnationError struct {
	Map, Want ID
}

func (e *IncarnationError) Error() string {
	if e.Map == e.Want {
		return fmt.Sprintf("offsets: %s/%d: a second map of the same copy", e.Want.Topic, e.Want.Partition)
	}
	return fmt.Sprintf("offsets: %s/%d: the map is of another %s", e.Want.Topic, e.Want.Partition, strings.Join(e.differs(), ", "))
}

// differs names what isn't equal, with both values.
func (e *IncarnationError) differs() (names []string) {
	add := func(name string, have, want any) {
		if have != want {
			names = append(names, fmt.Sprintf("%s (%v, not %v)", name, have, want))
		}
	}
	add("source cluster", e.Map.SourceCluster, e.Want.SourceCluster)
	add("topic", e.Map.Topic, e.Want.Topic)
	add("source topic ID", e.Map.SourceTopicID, e.Want.SourceTopicID)
	add("partition", e.Map.Partition, e.Want.Partition)
	add("target topic", e.Map.TargetTopic, e.Want.TargetTopic)
	add("target topic ID", e.Map.TargetTopicID, e.Want.TargetTopicID)
	return names
}

// For returns nil if the map is of id, and an *[IncarnationError] if any of its
// fields differs. Who knows only some of them takes the others from [Map.ID]:
// what is compared is then seen in the code. Topic IDs of zero (brokers
// before 2.8) tell no incarnations apart.
func (m *Map) For(id ID) error {
	if m.id != id {
		return &IncarnationError{Map: m.id, Want: id}
	}
	return nil
}

// DamageError says that bytes aren't an encoded map, or not as it was written.
type DamageError struct {
	Position int // in bytes, where it was found
	Reason   string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("offsets: damaged map at byte %d: %s", e.Position, e.Reason)
}

// VersionError says that an encoded map is of a later version than this
// library knows.
type VersionError struct {
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("offsets: map of version %d, this library reads up to %d", e.Version, mapVersion)
}
