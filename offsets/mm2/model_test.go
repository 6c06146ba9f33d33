package mm2

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/offsets"
)

// model is a MirrorMaker that copies one partition, is killed and goes on where it last committed,
// and the log that it makes.
type model struct {
	r      *rand.Rand
	source []int64 // offsets of the source's records
	log    []int64 // the source offset of each record of the target
	start  int64   // of the target's log
	syncs  []anchor
	at     []anchor
	last   map[int]anchor // by group
	passes int
	limit  int64
	drop   float64
	store  Store
}

func newModel(seed uint64) *model {
	m := &model{r: rand.New(rand.NewPCG(seed, 7)), last: map[int]anchor{}}
	m.limit, m.drop = m.r.Int64N(20), m.r.Float64()*m.r.Float64()
	gaps := m.r.Float64() * m.r.Float64() * float64(m.r.IntN(2))
	for at, n := m.r.Int64N(3)*m.r.Int64N(50), m.r.IntN(300); len(m.source) < n; at++ {
		if m.r.Float64() >= gaps {
			m.source = append(m.source, at)
		}
	}
	return m
}

// run copies in several lives, the last of which may end anywhere.
func (m *model) run() {
	next, committed := 0, 0
	for life := m.r.IntN(5); life >= 0; life-- {
		m.passes++
		if m.r.IntN(2) == 0 {
			m.store = Store{Loading: m.r.IntN(2) == 0}
			for _, a := range m.syncs {
				m.store.Add(OffsetSync{Upstream: a.up, Downstream: a.down})
			}
			m.store.Loading = false
		}
		next = m.live(next, m.r.IntN(len(m.source)-next+1))
		committed += m.r.IntN(next - committed + 1)
		if m.r.IntN(3) == 0 {
			committed = next // an orderly end
		}
		next = committed
	}
	if m.r.IntN(3) == 0 {
		m.compact()
	}
	if m.r.IntN(3) == 0 {
		m.start = m.r.Int64N(m.firstAgain() + 1)
	}
}

// firstAgain is where the first record is that was copied again, or the log's end: retention isn't
// thought to have taken one.
func (m *model) firstAgain() int64 {
	at := map[int64]int64{}
	first := int64(len(m.log))
	for o, up := range m.log {
		if o, ok := at[up]; ok {
			first = min(first, o)
			continue
		}
		at[up] = int64(o)
	}
	return first
}

// live copies n records from the i-th on, as OffsetSyncWriter and the checkpoint task do.
func (m *model) live(i, n int) int {
	var synced anchor
	for k := range n {
		a := anchor{up: m.source[i+k], down: int64(len(m.log))}
		m.log = append(m.log, a.up)
		if k == 0 || a.down-(synced.down+1) >= m.limit || a.up != m.source[i+k-1]+1 || m.r.IntN(30) == 0 {
			synced = a
			if m.r.Float64() >= m.drop {
				m.syncs = append(m.syncs, a)
				m.store.Add(OffsetSync{Upstream: a.up, Downstream: a.down})
			}
		}
		if m.r.IntN(4) == 0 {
			m.checkpoint(m.r.IntN(5), m.r.Int64N(a.up+m.r.Int64N(3)+1))
		}
	}
	if n > 0 && m.r.IntN(2) == 0 {
		m.checkpoint(9, m.source[i+n-1]+1)
	}
	return i + n
}

func (m *model) checkpoint(group int, up int64) {
	if down, ok := m.store.Translate(up); ok && down >= 0 {
		m.last[group] = anchor{up: up, down: down}
		m.at = append(m.at, anchor{up: up, down: down})
	}
}

// compact leaves the last sync and some of the others.
func (m *model) compact() {
	keep := m.r.Float64()
	last := len(m.syncs) - 1
	var kept []anchor
	for i, a := range m.syncs {
		if i == last || m.r.Float64() < keep {
			kept = append(kept, a)
		}
	}
	m.syncs = kept
}

// partition is what is read of it; with the syncs, or without.
func (m *model) partition(syncs bool) *partition {
	p := &partition{topic: "t", mirrored: -1, found: true, start: m.start, end: int64(len(m.log)), stable: int64(len(m.log))}
	if syncs {
		for _, a := range m.syncs {
			p.chain.add(a.up, a.down)
		}
	}
	p.finish(slices.Clone(m.at), false)
	return p
}

func (m *model) scan(_ context.Context, _ string, _ int32, from, to, _ int64) (*scan, error) {
	s := newScanner(from, to)
	for o := from; o < to; o++ {
		up := m.log[o]
		s.add(&kgo.Record{Offset: o, Value: []byte{byte(up), byte(up >> 8)}})
	}
	return s.done(), nil
}

// truth is the greatest offset from which on nothing at or after up is missed that the log has.
func (m *model) truth(up int64) int64 {
	last := map[int64]int64{}
	for o := m.start; o < int64(len(m.log)); o++ {
		last[m.log[o]] = o
	}
	truth := int64(len(m.log))
	for u, o := range last {
		if u >= up {
			truth = min(truth, o)
		}
	}
	return truth
}

// right says whether an answer that claims to be exact is a place of up.
func (m *model) right(tr offsets.Translated, up int64) bool {
	at, end := tr.Offset, int64(len(m.log))
	switch tr.How {
	case HowAtOrBefore:
		return true
	case offsets.HowBeforeStart:
		return at == m.start && slices.ContainsFunc(m.log[:min(at+1, end)], func(u int64) bool { return u >= up })
	case offsets.HowNext:
		return m.log[at] > up && m.log[at-1] < up
	case offsets.HowExact:
		return at == m.truth(up) || at < end && (m.log[at] == up || m.log[at] > up && (at == m.start || m.log[at-1] < up))
	}
	return false
}

// oneToOne says that the copy was made in one go, without gaps, and that there are offset syncs at
// both sides.
func (m *model) oneToOne(up int64) bool {
	n := len(m.source)
	before := slices.ContainsFunc(m.syncs, func(a anchor) bool { return a.up <= up && a.down >= m.start })
	behind := slices.ContainsFunc(m.syncs, func(a anchor) bool { return a.up > up })
	return m.passes == 1 && before && behind && m.source[n-1]-m.source[0] == int64(n-1)
}

// TestModel holds over random histories: nothing is skipped, no more is read again than after
// Java's answer, and what is called exact is.
func TestModel(t *testing.T) {
	testpass.NoRaces(t)
	n := uint64(8_000)
	if os.Getenv("KAFKADR_LONG") != "" {
		n *= 50
	}
	exact, all := 0, 0
	for seed := range n {
		m := newModel(seed)
		m.run()
		for _, syncs := range []bool{true, false} {
			p := m.partition(syncs)
			for group, c := range m.last {
				tr, err := p.translate(t.Context(), m.scan, 1, c.up)
				if err != nil {
					t.Fatal(err)
				}
				truth := m.truth(c.up)
				fault := ""
				switch {
				case tr.Offset > truth:
					fault = "skips"
				case tr.Offset < m.start:
					fault = "before the log's start"
				case m.passes == 1 && tr.Offset < c.down:
					fault = "reads more than Java's again"
				case !m.right(tr, c.up):
					fault = "isn't so"
				case syncs && m.oneToOne(c.up) && (tr.Offset != truth || tr.How != offsets.HowExact):
					fault = "isn't exact"
				}
				if fault != "" {
					t.Fatalf("seed %d, syncs %v, group %d: %s: %d is %d, Java %d, we say %+v\nlog from %d %v\nsyncs %v", seed, syncs, group, fault, c.up, truth, c.down, tr, m.start, m.log, m.syncs)
				}
				all++
				if tr.How == offsets.HowExact {
					exact++
				}
			}
		}
	}
	t.Logf("%d of %d exact", exact, all)
}
