package offsets

import (
	"iter"
	"math"

	"github.com/twmb/franz-go/pkg/kadm"
)

// ID says what a map is of: one partition of one incarnation of a source topic,
// and the incarnation of the topic that holds its copy.
type ID struct {
	SourceCluster string // the source's cluster ID
	Topic         string // its name at the source
	SourceTopicID kadm.TopicID
	Partition     int32 // the same number on both sides
	TargetTopic   string
	TargetTopicID kadm.TopicID
}

// Run is consecutive records that are consecutive in the copy too: the record
// at Upstream+i of the source is at Downstream+i of the target, for each i
// from 0 to Length, exclusive.
type Run struct {
	Upstream, Downstream, Length int64
}

// Map says which offset of the target is which of the source, for a range of
// offsets on either side. What lies in the ranges and in no run is a hole:
// upstream, offsets that aren't in the copy (transaction markers, aborted or
// compacted records); downstream, offsets that aren't of this copy (markers,
// others' records).
//
// The zero Map knows nothing; make one with [New], [Identity] or
// [Map.UnmarshalBinary]. Concurrent reads are safe; Append, Extend and
// UnmarshalBinary want the map alone.
type Map struct {
	id         ID
	known      bool // not the zero Map
	start, end [2]int64
	runs       []run
	index      [2]index // by side
}

// side is an index of what a map has of source and target.
type side int

const (
	upstream side = iota
	downstream
	length // of a run
)

// run is a Run whose sides can be indexed, so that both directions are one code.
type run [3]int64

// New makes a map that has no records yet: the copy of what the source has
// from upstreamStart (its log start offset, say) on begins at downstreamStart of the
// target. Both ranges are empty until [Map.Append] or [Map.Extend].
func New(id ID, upstreamStart, downstreamStart int64) (*Map, error) {
	m := &Map{id: id, known: true, start: [2]int64{upstreamStart, downstreamStart}, end: [2]int64{upstreamStart, downstreamStart}}
	switch {
	case id.Partition < 0:
		return nil, m.fault(-1, Run{upstreamStart, downstreamStart, 0}, "the partition is negative")
	case upstreamStart < 0 || downstreamStart < 0:
		return nil, m.fault(-1, Run{upstreamStart, downstreamStart, 0}, "the start is negative")
	}
	return m, nil
}

// Identity makes the map of an exact copy of [start, end): one run, or none if
// the range is empty. Offsets in holes are those of the same holes in the
// target, and translate exactly too.
func Identity(id ID, start, end int64) (*Map, error) {
	m, err := New(id, start, start)
	if err != nil || start == end {
		return m, err
	}
	if err := m.Append(start, start, end-start); err != nil {
		return nil, err
	}
	return m, nil
}

// Append adds the next records: length of them, from upstream on at the source
// and from downstream on in the target. Offsets between the ends so far and
// these become holes; where there are none, the last run grows. An error is a
// *[MapError], and the map is as it was.
func (m *Map) Append(upstreamOffset, downstreamOffset, n int64) error {
	r := Run{upstreamOffset, downstreamOffset, n}
	if reason := m.refuses(r); reason != "" {
		return m.fault(len(m.runs), r, reason)
	}
	if last := len(m.runs) - 1; last >= 0 && m.follows(r) {
		m.runs[last][length] += n
	} else {
		m.grow()
		m.runs = append(m.runs, run{r.Upstream, r.Downstream, r.Length})
	}
	m.end = [2]int64{r.Upstream + n, r.Downstream + n}
	return nil
}

// grow makes room for a run. Room grows by an eighth and not by append's
// quarter, which keeps a run below 32 bytes, and the indexes are made anew with it.
func (m *Map) grow() {
	n := len(m.runs)
	if n < cap(m.runs) {
		return
	}
	m.runs = append(make([]run, 0, n+n/8+minIndexed), m.runs...)
	m.reindex()
}

func (m *Map) reindex() {
	for s := range m.index {
		m.index[s] = newIndex(m.runs, side(s), m.start[s])
	}
}

// refuses says why a run can't be the next, or nothing.
func (m *Map) refuses(r Run) string {
	switch {
	case !m.known:
		return "the map has no start"
	case r.Length <= 0:
		return "the run is empty"
	case r.Upstream < m.end[upstream]:
		return "goes backwards at the source"
	case r.Downstream < m.end[downstream]:
		return "goes backwards in the target"
	case r.Length > math.MaxInt64-max(r.Upstream, r.Downstream):
		return "goes beyond the largest offset"
	}
	return ""
}

// follows says whether a run goes on where the last one ends, on both sides.
func (m *Map) follows(r Run) bool {
	last := m.runs[len(m.runs)-1]
	return r.Upstream == last[upstream]+last[length] && r.Downstream == last[downstream]+last[length]
}

// Extend moves the ends: all offsets up to there that are in no run are holes.
// A copier calls it when it has passed offsets without records, so that a
// group at the source's end is at the end of the copy. An error is a
// *[MapError] (an end would go backwards), and the map is as it was.
func (m *Map) Extend(upstreamEnd, downstreamEnd int64) error {
	r := Run{upstreamEnd, downstreamEnd, 0}
	switch {
	case !m.known:
		return m.fault(len(m.runs), r, "the map has no start")
	case upstreamEnd < m.end[upstream]:
		return m.fault(len(m.runs), r, "the end goes backwards at the source")
	case downstreamEnd < m.end[downstream]:
		return m.fault(len(m.runs), r, "the end goes backwards in the target")
	}
	m.end = [2]int64{upstreamEnd, downstreamEnd}
	return nil
}

// ID says what the map is of.
func (m *Map) ID() ID { return m.id }

// UpstreamStart is the first offset of the source that the map covers.
func (m *Map) UpstreamStart() int64 { return m.start[upstream] }

// UpstreamEnd is one past the last offset of the source that the map covers.
func (m *Map) UpstreamEnd() int64 { return m.end[upstream] }

// DownstreamStart is the first offset of the target that the map covers.
func (m *Map) DownstreamStart() int64 { return m.start[downstream] }

// DownstreamEnd is one past the last offset of the target that the map covers.
func (m *Map) DownstreamEnd() int64 { return m.end[downstream] }

// Len is the number of runs.
func (m *Map) Len() int { return len(m.runs) }

// Runs yields the runs in the order of both sides' offsets. They don't overlap,
// and between two of them at least one side has a hole.
func (m *Map) Runs() iter.Seq[Run] {
	return func(yield func(Run) bool) {
		for _, r := range m.runs {
			if !yield(Run{r[upstream], r[downstream], r[length]}) {
				return
			}
		}
	}
}
