package offsets

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testpass"
)

// TestHistories holds a map against a model that looks at every record, over
// random histories of a source and a target. KAFKADR_SEED runs one again.
func TestHistories(t *testing.T) {
	testpass.NoRaces(t)
	if s := os.Getenv("KAFKADR_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err == nil {
			err = checkHistory(seed)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	n, workers := uint64(100_000), uint64(2)
	if os.Getenv("KAFKADR_LONG") != "" {
		n = 1_000_000
	}
	first := uint64(time.Now().UnixNano())
	t.Logf("%d histories from seed %d", n, first)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				if err := checkHistory(first + i); err != nil {
					t.Errorf("KAFKADR_SEED=%d: %v", first+i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func checkHistory(seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 4))
	lives := history(r)
	for _, l := range lives {
		if err := l.check(r); err != nil {
			return fmt.Errorf("%w\n%v", err, l)
		}
	}
	if len(lives) > 1 {
		return checkRecreated(lives[0].m, lives[1].m)
	}
	return nil
}

// checkRecreated holds that the map of one life is refused for another.
func checkRecreated(a, b *Map) error {
	var other *IncarnationError
	if err := a.For(b.ID()); !errors.As(err, &other) || other.Map != a.ID() || other.Want != b.ID() {
		return errors.Join(errors.New("another incarnation's map wasn't refused as such"), err)
	}
	if _, err := NewMaps(a, b); !errors.As(err, &other) {
		return errors.Join(errors.New("two incarnations in one set weren't refused as such"), err)
	}
	return errors.Join(a.For(a.ID()), b.For(b.ID()))
}

func (l *life) check(r *rand.Rand) error {
	if err := l.checkShape(); err != nil {
		return err
	}
	decoded, err := l.checkCodec()
	if err != nil {
		return err
	}
	m := l.m
	if r.IntN(2) == 0 {
		m = decoded // whose indexes are new
	}
	for from := range downstream + 1 {
		if err := l.checkSide(r, m, from); err != nil {
			return err
		}
	}
	return l.checkAnswers()
}

// checkShape holds that the runs are the records', as few as can be.
func (l *life) checkShape() error {
	m := l.m
	if [2]int64{m.UpstreamStart(), m.DownstreamStart()} != l.start || [2]int64{m.UpstreamEnd(), m.DownstreamEnd()} != l.end {
		return fmt.Errorf("ranges: %v to %v", m.start, m.end)
	}
	next, runs := 0, 0
	for run := range m.Runs() {
		if next > 0 && l.records[next-1] == (copied{run.Upstream - 1, run.Downstream - 1}) {
			return fmt.Errorf("run %d goes on with the one before", runs)
		}
		runs++
		for i := range run.Length {
			if next == len(l.records) || l.records[next] != (copied{run.Upstream + i, run.Downstream + i}) {
				return fmt.Errorf("%v at %d isn't record %d", run, i, next)
			}
			next++
		}
	}
	if next != len(l.records) || runs != m.Len() {
		return fmt.Errorf("%d records in %d runs", next, runs)
	}
	return nil
}

func (l *life) checkCodec() (*Map, error) {
	b, err := l.m.MarshalBinary()
	if err != nil {
		return nil, err
	}
	var m Map
	if err := m.UnmarshalBinary(b); err != nil {
		return nil, err
	}
	if again, _ := m.MarshalBinary(); !bytes.Equal(again, b) || m.ID() != l.m.ID() {
		return nil, errors.New("decoded otherwise")
	}
	return &m, nil
}

// checkSide holds the answers of one direction, for every offset or, where
// they are too many, for those around each record.
func (l *life) checkSide(r *rand.Rand, m *Map, from side) error {
	at, smaller := 0, int64(-1)
	for _, x := range l.asked(r, from) {
		for at < len(l.records) && l.records[at][from] < x {
			at++
		}
		offset, how := m.locate(from, x)
		if want, wantHow := l.model(from, x, at); offset != want || how != wantHow {
			return fmt.Errorf("%d of side %d: %d %s, not %d %s", x, from, offset, how, want, wantHow)
		}
		if x < 0 {
			continue
		}
		if offset < smaller {
			return fmt.Errorf("%d of side %d: %d is less than that of an offset before", x, from, offset)
		}
		smaller = offset
		if unread := len(l.records) - at; l.from(1-from, offset) != unread {
			return fmt.Errorf("%d of side %d: %d records are unread, from %d on are %d", x, from, unread, offset, l.from(1-from, offset))
		}
		if back, _ := m.locate(1-from, offset); how == HowExact && x < l.end[from] && back != x {
			return fmt.Errorf("%d of side %d: there is %d, and back %d", x, from, offset, back)
		}
	}
	return nil
}

// asked are offsets of a side, ascending.
func (l *life) asked(r *rand.Rand, from side) (xs []int64) {
	start, end := l.start[from]-2, l.end[from]+2
	if end-start <= 400 {
		for x := start; x <= end; x++ {
			xs = append(xs, x)
		}
		return xs
	}
	xs = append(xs, start, start+2)
	for _, c := range l.records {
		last := xs[len(xs)-1]
		if hole := c[from] - last; hole > 1 {
			xs = append(xs, last+1+r.Int64N(hole-1), max(last+1, c[from]-1))
		}
		xs = append(xs, c[from], c[from]+1)
	}
	xs = append(xs, end-3, end-2, end-1, end)
	slices.Sort(xs)
	return xs
}

// model is what is right for an offset before which are at records.
func (l *life) model(from side, x int64, at int) (int64, How) {
	to := 1 - from
	switch {
	case x < 0:
		return -1, HowUnknown
	case x < l.start[from]:
		return l.start[to], HowBeforeStart
	case x == l.end[from]:
		return l.end[to], HowExact
	case x > l.end[from]:
		return l.end[to], HowPastEnd
	case at == len(l.records):
		return l.end[to], HowNext
	case l.records[at][from] == x:
		return l.records[at][to], HowExact
	}
	return l.records[at][to], HowNext
}

// from is how many records a group reads from an offset on.
func (l *life) from(s side, offset int64) (n int) {
	lo, hi := 0, len(l.records)
	for lo < hi {
		if mid := (lo + hi) / 2; l.records[mid][s] < offset {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return len(l.records) - lo
}

// checkAnswers holds that groups which switched before the copy went on skipped nothing, and
// read nothing again unless they were told.
func (l *life) checkAnswers() error {
	for _, a := range l.answers {
		if a.how == HowUnknown {
			continue
		}
		unread, reads := l.from(a.from, a.x), l.from(1-a.from, a.to)
		if reads < unread || reads > unread && a.how != HowPastEnd {
			return fmt.Errorf("switched at %+v: reads %d, hadn't read %d", a, reads, unread)
		}
	}
	return nil
}
