package offsets

// Translate returns the target's offset for one of the source, and how it was
// found. Read as committed offsets, "the next record to read":
//
//   - A record's offset: where its copy is, [HowExact].
//   - In a hole: where the next record's copy is, [HowNext]; if none follows in
//     the map, DownstreamEnd. Nothing of the copy lies between the record
//     before the hole and that one, so nothing is skipped, and all of the
//     copy before it the group has read or passed. Any offset in between would
//     do as well for this copy; this one is the largest, so that others' records
//     which lie in the hole aren't read for it.
//   - Below UpstreamStart: DownstreamStart, [HowBeforeStart]. The copy has nothing
//     of what is missing, and its first record is one that the group hasn't read.
//   - UpstreamEnd: DownstreamEnd, [HowExact]. The group has read everything, and
//     the copy's next record will be there or behind.
//   - Beyond: DownstreamEnd, [HowPastEnd]. The group has read what the copy doesn't
//     have yet; when it comes, the group reads it again. Nothing is skipped.
//   - Negative offsets (no committed offset), and any of a nil or zero Map: -1, [HowUnknown].
//
// A larger offset never translates to a smaller one, and appending to the
// map changes no answer but those for UpstreamEnd and beyond, and for a hole
// at the end; these only move forward.
func (m *Map) Translate(upstreamOffset int64) (int64, How) { return m.locate(upstream, upstreamOffset) }

// Inverse returns the source's offset for one of the target, as
// [Map.Translate] does the other way: an offset in a hole (a marker, another's
// record) is that of the next record of this copy, or UpstreamEnd. Records of
// the source that the copier left out lie in holes too, and are passed over.
func (m *Map) Inverse(downstreamOffset int64) (int64, How) {
	return m.locate(downstream, downstreamOffset)
}

func (m *Map) locate(from side, x int64) (int64, How) {
	if m == nil || !m.known || x < 0 {
		return -1, HowUnknown
	}
	to := 1 - from
	switch {
	case x < m.start[from]:
		return m.start[to], HowBeforeStart
	case x > m.end[from]:
		return m.end[to], HowPastEnd
	case x == m.end[from]:
		return m.end[to], HowExact
	}
	i := m.search(from, x)
	if i > 0 {
		if r := &m.runs[i-1]; x-r[from] < r[length] {
			return r[to] + x - r[from], HowExact
		}
	}
	if i < len(m.runs) {
		return m.runs[i][to], HowNext
	}
	return m.end[to], HowNext
}
