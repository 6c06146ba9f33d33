package mm2

import (
	"context"
	"fmt"
	"sync"

	"github.com/kafkadr/kafkadr/offsets"
)

// HowAtOrBefore is an answer that skips nothing, but may re-read: the exact offset is this one or a
// later one.
const HowAtOrBefore offsets.How = "at_or_before"

// partition is what is known of one partition of the target.
type partition struct {
	topic     string
	partition int32
	chain     chain
	points    points
	mirrored  int64 // the last mirrored source offset in mm2-offsets, -1 where there is none

	found              bool
	start, end, stable int64
	unfit              string // why its records prove nothing, empty where they may
	replaced           bool   // what MirrorMaker says doesn't fit this log
	drained            bool   // the last anchor is the end
	from               int64  // chain.suspect, with lost
	lost               bool

	mu    sync.Mutex
	scans map[[2]int64]*scan
}

// scanFunc is [target.scan].
type scanFunc func(ctx context.Context, topic string, partition int32, from, to, maxBytes int64) (*scan, error)

// answer is a translation that grows: lower is never behind the exact offset, upper never before
// it.
type answer struct {
	up, lower, upper int64
	from             string // what lower rests on
}

func (p *partition) says(offset int64, how offsets.How, format string, args ...any) offsets.Translated {
	return offsets.Translated{Topic: p.topic, Partition: p.partition, Offset: offset, How: how, Evidence: fmt.Sprintf(format, args...)}
}

// translate says what a source offset is on the target.
func (p *partition) translate(ctx context.Context, read scanFunc, maxScan, up int64) (offsets.Translated, error) {
	switch {
	case !p.found:
		return p.says(-1, offsets.HowUnknown, "the target has no such partition"), nil
	case up < 0:
		return p.says(-1, offsets.HowUnknown, "no offset is negative"), nil
	case p.replaced:
		return p.says(p.start, HowAtOrBefore,
			"the target's log ends at %d, before what MirrorMaker noted: it was made anew or cut off, so only its start is safe", p.end), nil
	}
	again, looked, err := p.unfinished(ctx, read, maxScan)
	if err != nil {
		return offsets.Translated{}, err
	}
	tr, err := p.finished(ctx, read, maxScan, up)
	switch {
	case err != nil:
		return offsets.Translated{}, err
	case again >= 0 && tr.Offset > again+1:
		return p.says(again+1, HowAtOrBefore, "the target's last record is at %d as well: something was copied again up to there", again), nil
	case again < 0 && p.lost:
		return p.says(p.start, HowAtOrBefore, "copying was begun again from before the log's start %d, and may not have come here again", p.start), nil
	case !looked && tr.Offset == p.end && tr.How == offsets.HowExact:
		tr.How = HowAtOrBefore
		tr.Evidence += "; whether something was being copied again there isn't known"
	}
	return tr, nil
}

// finished is the answer where no copying that was begun again ended before its time.
func (p *partition) finished(ctx context.Context, read scanFunc, maxScan, up int64) (offsets.Translated, error) {
	a := answer{up: up, lower: p.points.atLeast(up), upper: p.end, from: "the checkpoints alone"}
	if tr, ok := p.bySync(&a); ok {
		return tr, nil
	}
	switch {
	case a.lower >= p.end:
		return p.atEnd(up), nil
	case up == 0 && p.start == 0:
		return p.says(0, offsets.HowExact, "the beginning of both logs"), nil
	}
	return p.byRecords(ctx, read, maxScan, a)
}

// unfinished looks for a MirrorMaker that died while it copied again what it had copied before: the
// last record is there earlier as well, at the offset returned, and what lies between may not have
// been copied again. It is -1 where that isn't so; looked is false where it can't be said.
func (p *partition) unfinished(ctx context.Context, read scanFunc, maxScan int64) (again int64, looked bool, err error) {
	switch {
	case p.from >= p.stable:
		return -1, true, nil
	case p.unfit != "" || maxScan < 0:
		return -1, false, nil
	}
	s, err := p.scan(ctx, read, maxScan, p.from, p.stable)
	if err != nil {
		return -1, false, err
	}
	return s.recurs, !s.over, nil
}

// bySync answers where an offset sync alone does, and narrows the answer otherwise.
func (p *partition) bySync(a *answer) (offsets.Translated, bool) {
	left, ok := p.chain.atOrBefore(a.up)
	right, bounded := p.chain.after(a.up)
	if bounded {
		a.upper = min(a.upper, right.down)
	}
	switch {
	case bounded && right.down <= p.start:
		return p.says(p.start, offsets.HowBeforeStart, "%s: the target's log starts at %d", p.place(right), p.start), true
	case !ok:
		return offsets.Translated{}, false
	case left.up == a.up && left.down < p.start:
		return p.says(p.start, offsets.HowBeforeStart, "%s: the target's log starts at %d", p.place(left), p.start), true
	case left.up == a.up && left.down >= p.end:
		return p.atEnd(a.up), true
	case left.up == a.up:
		return p.says(left.down, offsets.HowExact, "%s", p.place(left)), true
	case left.down+1 >= p.end:
		return p.atEnd(a.up), true
	case bounded && left.down+1 == right.down:
		return p.says(right.down, offsets.HowNext, "between %s and %s, without a record", p.place(left), p.place(right)), true
	}
	if left.down+1 > a.lower {
		a.lower, a.from = left.down+1, p.place(left)+" before it"
	}
	return offsets.Translated{}, false
}

// place names an anchor.
func (p *partition) place(a anchor) string {
	if p.drained && a.down == p.end {
		return fmt.Sprintf("mm2-offsets' last record %d and the target's end %d", a.up-1, a.down)
	}
	return fmt.Sprintf("offset sync %d -> %d", a.up, a.down)
}

func (p *partition) atEnd(up int64) offsets.Translated {
	if last, ok := p.chain.atOrBefore(up); ok && p.drained && last.down == p.end && up > last.up {
		return p.says(p.end, offsets.HowPastEnd, "mm2-offsets: the last record mirrored is %d", last.up-1)
	}
	return p.says(p.end, offsets.HowExact, "the target's end: all that is there is before it")
}

// conservative is the answer without proof.
func (p *partition) conservative(a answer, why string, args ...any) offsets.Translated {
	return p.says(max(a.lower, p.start), HowAtOrBefore, "%s; %s", a.from, fmt.Sprintf(why, args...))
}

// byRecords proves more by what the target's records are, or answers with what is known.
func (p *partition) byRecords(ctx context.Context, read scanFunc, maxScan int64, a answer) (offsets.Translated, error) {
	switch {
	case p.unfit != "":
		return p.conservative(a, "%s", p.unfit), nil
	case maxScan < 0:
		return p.conservative(a, "the records weren't to be read"), nil
	}
	left, right, why := p.bracket(a)
	if why != "" {
		return p.conservative(a, "%s", why), nil
	}
	s, err := p.scanBetween(ctx, read, maxScan, left, right)
	switch {
	case err != nil:
		return offsets.Translated{}, err
	case s.over:
		return p.conservative(a, "the records from %d to %d are more than may be read", s.from, s.to), nil
	case s.repeats():
		return p.conservative(a, "records %d and %d are equal, so something may have been copied twice", s.first, s.second), nil
	}
	return p.count(a, left, right, s), nil
}

// bracket chooses the places between which records are counted: one at or before the offset, one
// behind it.
func (p *partition) bracket(a answer) (left, right anchor, why string) {
	left, ok := p.chain.atOrBefore(a.up)
	switch {
	case ok && left.down < p.start:
		return left, right, fmt.Sprintf("the target's log starts at %d, behind the last offset sync before it", p.start)
	case !ok && p.start > 0:
		return left, right, fmt.Sprintf("the target's log starts at %d, and what was before isn't known", p.start)
	}
	right, exact := p.chain.after(a.up)
	// Which record a checkpoint rests on isn't known, only that it isn't behind: it serves where
	// everything before it is read.
	if c, found := p.points.after(a.up); found && !ok && (!exact || c.up-c.down < right.up-right.down || c.up < right.up && c.up-c.down == right.up-right.down) {
		right, exact = c, true
	}
	switch {
	case !exact:
		return left, right, "nothing is known behind it"
	case right.down > p.stable:
		return left, right, fmt.Sprintf("a transaction is open at %d", p.stable)
	case right.down <= left.down:
		return left, right, "nothing more is known behind it"
	}
	return left, right, ""
}

// scanBetween reads from one place to the other, both records included; the whole log's scan will
// do where it has no equal records.
func (p *partition) scanBetween(ctx context.Context, read scanFunc, maxScan int64, left, right anchor) (*scan, error) {
	to := min(right.down+1, p.stable)
	p.mu.Lock()
	tail := p.scans[[2]int64{p.from, p.stable}]
	p.mu.Unlock()
	if tail != nil && tail.from <= left.down && !tail.over && !tail.repeats() {
		return tail, nil
	}
	return p.scan(ctx, read, maxScan, left.down, to)
}

func (p *partition) scan(ctx context.Context, read scanFunc, maxScan, from, to int64) (*scan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := [2]int64{from, to}
	if s := p.scans[key]; s != nil {
		return s, nil
	}
	s, err := read(ctx, p.topic, p.partition, from, to, maxScan)
	if err != nil {
		return nil, err
	}
	if p.scans == nil {
		p.scans = map[[2]int64]*scan{}
	}
	p.scans[key] = s
	return s, nil
}

// count narrows the answer by the number of records between: each was copied once, so no more of
// them than of source offsets.
func (p *partition) count(a answer, left, right anchor, s *scan) offsets.Translated {
	above := a.upper
	if i := s.count(left.down) + a.up - left.up; i < s.records {
		above = min(above, s.offset(i))
	}
	if i := s.count(right.down) - (right.up - a.up); i >= 0 && i < s.records {
		below := s.offset(i)
		if below == above {
			return p.says(above, offsets.HowExact, "one to one: the source's %d to %d are the target's %d to %d, and no record is there twice",
				left.up, a.up, left.down, above)
		}
		if below > a.lower {
			a.lower, a.from = below, fmt.Sprintf("%d source offsets before the place of %d, and no record twice", right.up-a.up, right.up)
		}
	}
	return p.conservative(a, "the source's %d to %d are %d to %d on the target: not one to one", left.up, right.up, left.down, right.down)
}
