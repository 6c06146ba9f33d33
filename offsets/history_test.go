package offsets

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
)

// source is a model of a partition's log: what is in [start, end) and isn't
// visible is a hole.
type source struct {
	start, end int64
	visible    []int64
	vast       bool // offsets jump, so that not all can be looked at
}

// live lets something happen to the log.
func (s *source) live(r *rand.Rand) {
	switch r.IntN(6) {
	case 0, 1:
		s.produce(1 + r.Int64N(8))
	case 2, 3:
		s.transactions(r)
	case 4:
		s.compact(r)
	case 5:
		s.retain(r)
	}
}

func (s *source) produce(n int64) {
	for range n {
		s.visible = append(s.visible, s.end)
		s.end++
	}
}

// transactions are two producers' at once, each of which commits or aborts.
func (s *source) transactions(r *rand.Rand) {
	aborts := [2]bool{r.IntN(3) == 0, r.IntN(3) == 0}
	for range 1 + r.IntN(8) {
		if aborts[r.IntN(2)] {
			s.end++
		} else {
			s.produce(1)
		}
	}
	s.end += 1 + r.Int64N(2) // markers
}

func (s *source) compact(r *rand.Rand) {
	kept := r.IntN(4)
	s.visible = slices.DeleteFunc(s.visible, func(int64) bool { return r.IntN(4) > kept })
	if s.vast {
		s.end += r.Int64N(1 << r.IntN(56)) // all of what was there is gone
	}
}

func (s *source) retain(r *rand.Rand) {
	s.start += r.Int64N(min(s.end-s.start, 20) + 1)
	s.visible = slices.DeleteFunc(s.visible, func(o int64) bool { return o < s.start })
}

// form is how a copy lies in its target.
type form int

const (
	sameHoles form = iota // offset for offset, holes as markers
	identical             // the same, mapped as one run
	dense                 // without holes
	shared                // others write between
	committed             // transactions of the copier's own: markers between
	forms
)

// copied is a record on both sides.
type copied [2]int64

// life is one incarnation of a source topic, a copy of it and the map of that.
type life struct {
	form       form
	source     source
	start, end [2]int64
	records    []copied
	m          *Map
	chunk      Run // not yet in the map
	answers    []answer
}

// answer is what a map said in the middle of a life.
type answer struct {
	from side
	x    int64
	to   int64
	how  How
}

// history makes the lives of one topic name, one after the other into the same
// target topic, from a seed.
func history(r *rand.Rand) []*life {
	var lives []*life
	tail := r.Int64N(3) * r.Int64N(1<<r.IntN(40))
	for i := range 1 + r.IntN(2) {
		l := newLife(r, ID{"source", "orders", kadm.TopicID{1, byte(i)}, 3, "copy", kadm.TopicID{9}}, tail)
		for range 1 + r.IntN(4) {
			for range r.IntN(4) {
				l.source.live(r)
			}
			if r.IntN(64) == 0 {
				for range 50 {
					l.source.live(r)
				}
			}
			l.copy(r)
		}
		lives = append(lives, l)
		tail = l.end[downstream]
	}
	return lives
}

func newLife(r *rand.Rand, id ID, tail int64) *life {
	l := &life{form: form(r.IntN(int(forms)))}
	l.source.vast = r.IntN(8) == 0 && l.form != identical
	l.source.end = r.Int64N(3) * r.Int64N(1<<r.IntN(60))
	l.source.start = l.source.end
	if r.IntN(2) == 0 {
		l.source.live(r)
	}
	at := [2]int64{l.source.start, tail}
	if l.form == sameHoles || l.form == identical {
		at[downstream] = at[upstream]
	}
	m, err := New(id, at[upstream], at[downstream])
	if err != nil {
		panic(err)
	}
	l.m, l.start, l.end = m, at, at
	return l
}

// copy goes on up to some offset of the source, in appends of any size.
func (l *life) copy(r *rand.Rand) {
	to := l.source.end
	if r.IntN(3) == 0 {
		to -= r.Int64N(min(to-l.source.start, 10) + 1)
	}
	if to < l.end[upstream] {
		return
	}
	for _, at := range l.source.seen(l.form, l.end[upstream], to) {
		l.place(r, at)
		l.records = append(l.records, copied{at, l.end[downstream]})
		l.add(r, at, l.end[downstream])
		l.end = [2]int64{at + 1, l.end[downstream] + 1}
	}
	l.place(r, to)
	l.end[upstream] = to
	l.flush()
	if r.IntN(8) > 0 || len(l.records) == 0 {
		must(l.m.Extend(l.end[upstream], l.end[downstream]))
	} else {
		last := l.records[len(l.records)-1]
		l.end = [2]int64{max(l.m.UpstreamEnd(), last[upstream]+1), max(l.m.DownstreamEnd(), last[downstream]+1)}
	}
	l.ask(r)
}

// seen are the offsets that are copied as records.
func (s *source) seen(f form, from, to int64) []int64 {
	if f == identical {
		all := []int64{}
		for o := from; o < to; o++ {
			all = append(all, o)
		}
		return all
	}
	i, _ := slices.BinarySearch(s.visible, from)
	k, _ := slices.BinarySearch(s.visible, to)
	return s.visible[i:k]
}

// place lets happen in the target what does before the offset at is copied.
func (l *life) place(r *rand.Rand, at int64) {
	switch l.form {
	case sameHoles, identical:
		l.end[downstream] = at
	case shared:
		if r.IntN(4) == 0 {
			l.end[downstream] += r.Int64N(5)
		}
	case committed:
		l.end[downstream] += r.Int64N(2)
	}
}

// add appends a record to the chunk that goes into the map at once.
func (l *life) add(r *rand.Rand, up, down int64) {
	c := &l.chunk
	if c.Length > 0 && (r.IntN(5) == 0 || up != c.Upstream+c.Length || down != c.Downstream+c.Length) {
		l.flush()
	}
	if c.Length == 0 {
		*c = Run{up, down, 0}
	}
	c.Length++
}

func (l *life) flush() {
	if c := l.chunk; c.Length > 0 {
		must(l.m.Append(c.Upstream, c.Downstream, c.Length))
	}
	l.chunk = Run{}
}

// ask keeps some of the map's answers of now, for groups that switch now.
func (l *life) ask(r *rand.Rand) {
	for range 3 {
		a := answer{from: side(r.IntN(2))}
		a.x = l.end[a.from] + 2 - r.Int64N(min(l.end[a.from]-l.start[a.from], 40)+4)
		a.to, a.how = l.m.locate(a.from, a.x)
		l.answers = append(l.answers, a)
	}
}

func (l *life) String() string {
	return fmt.Sprintf("form %d, %v to %v, records %v, map %v", l.form, l.start, l.end, l.records, l.m.runs)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
