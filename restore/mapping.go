package restore

import (
	"fmt"
	"sync"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/offsets"
)

// mapping joins, by ordinal, what is known of a job's records in one partition: where the archive
// has them and where the target. Either side comes in order, and may be ahead of the other. What
// the target's cleaner or retention took is left out.
type mapping struct {
	mu     sync.Mutex
	m      *offsets.Map
	first  int64              // the job's on the target
	spans  []span             // of the archive, not placed yet
	next   span               // where the known part of the archive ends; no records
	places []exactcopy.Placed // on the target, not known of the archive yet
	last   exactcopy.Checkpoint
	err    error
}

// span is consecutive records of the archive, without holes.
type span struct{ ordinal, offset, records int64 }

// newMapping begins with nothing known: the archive starts at start, and no record of the job lies
// below first on the target.
func newMapping(id offsets.ID, start, first int64) (*mapping, error) {
	m, err := offsets.New(id, start, first)
	if err != nil {
		return nil, err
	}
	return &mapping{m: m, first: first, next: span{offset: start}, last: exactcopy.Checkpoint{Offset: first}}, nil
}

// archived says that the archive has records at offset, the first of which has the ordinal. What is
// known already is skipped.
func (m *mapping) archived(ordinal, offset, records int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.next.ordinal - ordinal; known > 0 {
		ordinal, offset, records = ordinal+known, offset+known, records-known
	}
	if records <= 0 {
		return
	}
	m.next = span{ordinal: ordinal + records, offset: offset + records}
	if n := len(m.spans); n > 0 && m.spans[n-1].offset+m.spans[n-1].records == offset {
		m.spans[n-1].records += records
	} else {
		m.spans = append(m.spans, span{ordinal, offset, records})
	}
	m.join()
}

// placed says where records of the job lie on the target.
func (m *mapping) placed(p exactcopy.Placed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = exactcopy.Checkpoint{Offset: p.Base + p.Records, Ordinal: p.First + p.Records}
	if n := len(m.places); n > 0 && m.places[n-1].First+m.places[n-1].Records == p.First && m.places[n-1].Base+m.places[n-1].Records == p.Base {
		m.places[n-1].Records += p.Records
	} else {
		m.places = append(m.places, p)
	}
	m.join()
}

// join takes off what both sides know.
func (m *mapping) join() {
	for len(m.spans) > 0 && len(m.places) > 0 && m.err == nil {
		s, p := &m.spans[0], &m.places[0]
		if gone := min(p.First-s.ordinal, s.records); gone > 0 { // from the target
			m.passSpan(gone)
			continue
		}
		if p.First < s.ordinal {
			m.err = fmt.Errorf("record %d of the job lies at %d of the target, behind record %d", p.First, p.Base, s.ordinal)
			return
		}
		n := min(s.records, p.Records)
		if m.err = m.m.Append(s.offset, p.Base, n); m.err != nil {
			return
		}
		*p = exactcopy.Placed{First: p.First + n, Base: p.Base + n, Records: p.Records - n}
		if p.Records == 0 {
			m.places = m.places[1:]
		}
		m.passSpan(n)
	}
}

// passSpan takes records off the front of the archive's side.
func (m *mapping) passSpan(n int64) {
	s := &m.spans[0]
	if *s = (span{s.ordinal + n, s.offset + n, s.records - n}); s.records == 0 {
		m.spans = m.spans[1:]
	}
}

// upstream is the archive's offset of the record with an ordinal, or of the end of what is known of
// the archive.
func (m *mapping) upstream(ordinal int64) (int64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ordinal == m.next.ordinal {
		return m.next.offset, true
	}
	for _, s := range m.spans {
		if s.ordinal <= ordinal && ordinal < s.ordinal+s.records {
			return s.offset + ordinal - s.ordinal, true
		}
	}
	return 0, false
}

// known is where the known part of the archive ends: the next record's ordinal, and an offset at or
// below its.
func (m *mapping) known() (ordinal, offset int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.next.ordinal, m.next.offset
}

// checkpoint is where the job's part of the target that is known ends.
func (m *mapping) checkpoint() exactcopy.Checkpoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// soFar is a copy of the map.
func (m *mapping) soFar() (*offsets.Map, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	c, err := offsets.New(m.m.ID(), m.m.UpstreamStart(), m.m.DownstreamStart())
	if err != nil {
		return nil, err
	}
	for r := range m.m.Runs() {
		if err := c.Append(r.Upstream, r.Downstream, r.Length); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// whole is the map of a partition that is complete, up to the archive's end.
func (m *mapping) whole(end int64) (*offsets.Map, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil && len(m.places) > 0 {
		m.err = fmt.Errorf("the target has record %d of the job, the archive hasn't", m.places[0].First)
	}
	if m.err == nil {
		m.err = m.m.Extend(end, max(m.m.DownstreamEnd(), m.last.Offset))
	}
	return m.m, m.err
}
