package mirror

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
)

const (
	// patience is how long a partition that can't be looked at is no event yet.
	patience = time.Minute
	// lookAtOnce bounds how many partitions are looked at in one round, comparers how many are
	// compared at once.
	lookAtOnce = 5000
	comparers  = 16
)

// due are the partitions to look at now, by the brokers that lead them, where those aren't being
// asked. Looks at them have begun.
func (e *engine) due(now time.Time) map[lane][]*part {
	e.mu.Lock()
	defer e.mu.Unlock()
	by := make(map[lane][]*part)
	for _, p := range e.parts {
		if !p.Due(now) || p.working {
			continue
		}
		at := e.askedOf(p)
		if len(by[at]) == lookAtOnce || len(by[at]) == 0 && !e.lanes.free(at) {
			continue
		}
		p.BeginLook()
		by[at] = append(by[at], p)
	}
	return by
}

// askedOf are the brokers that lead a partition on both sides, as far as is known.
func (e *engine) askedOf(p *part) lane {
	at := lane{looking, -1, -1}
	if broker, ok := e.source.Led(p.src); ok {
		at.source = broker
	}
	if broker, ok := e.target.Led(p.dst); ok {
		at.target = broker
	}
	return at
}

// look looks at partitions, and reads them on where that is right. What becomes of a partition
// meanwhile counts, and the look at it then doesn't.
func (e *engine) look(ctx context.Context, at lane, ps []*part) {
	defer e.endLook(ps)
	ps, err := e.living(ctx, e.blame(ps))
	if err != nil {
		return
	}
	if at.source < 0 || at.target < 0 {
		ps = e.unled(ps)
	}
	if len(ps) == 0 {
		return
	}
	copies := e.copied(ps)
	found, err := e.facts(ctx, copies, e.near, e.far)
	if err != nil {
		return
	}
	verdicts, err := e.verdicts(ctx, ps, copies, found)
	if err != nil {
		return
	}
	e.act(ctx, ps, found, verdicts)
}

// endLook notes that a look is over.
func (e *engine) endLook(ps []*part) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range ps {
		p.EndLook()
	}
}

// unled leaves out partitions whose leaders are known now: they are looked at with those of the
// same brokers.
func (e *engine) unled(ps []*part) (unled []*part) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range ps {
		if at := e.askedOf(p); at.source < 0 || at.target < 0 {
			unled = append(unled, p)
		} else if p.current(e) {
			e.lookAt(p, 0)
		}
	}
	return unled
}

// current says that nothing has become of a partition since the look at it began; e.mu is held.
func (p *part) current(e *engine) bool {
	return e.parts[p.src] == p && p.Current() && !e.draining
}

// isCurrent is current, without the lock.
func (e *engine) isCurrent(p *part) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return p.current(e)
}

// copied are the copies of partitions as far as the engine knows them.
func (e *engine) copied(ps []*part) []copied {
	e.mu.Lock()
	defer e.mu.Unlock()
	copies := make([]copied, len(ps))
	for i, p := range ps {
		copies[i] = p.copied()
	}
	return copies
}

// verdicts are on the partitions whose facts are known; the others are looked at later. An error is
// the context's.
func (e *engine) verdicts(ctx context.Context, ps []*part, copies []copied, found []*facts) ([]verdict, error) {
	verdicts := make([]verdict, len(ps))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(comparers)
	for i, p := range ps {
		f := found[i]
		if f.err != nil {
			e.later(p, f.err)
			continue
		}
		g.Go(func() error {
			v, err := e.verdict(gctx, copies[i], f)
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			if err != nil {
				f.err = err
				e.later(p, err)
				return nil
			}
			verdicts[i] = v
			return nil
		})
	}
	return verdicts, g.Wait()
}

// blame raises the events of partitions whose worker or fetch failed for a reason that looking
// doesn't cure. It returns the others.
func (e *engine) blame(ps []*part) []*part {
	var left []*part
	for _, p := range ps {
		e.mu.Lock()
		err := p.failed
		p.failed = nil
		e.mu.Unlock()
		p.copy.Close()
		e.steer(p)
		if err == nil {
			left = append(left, p)
			continue
		}
		ev, is := errorEvent(err)
		switch {
		case !e.isCurrent(p):
		case is && ev.Kind == Shifted:
			left = append(left, p) // what is there says why
			e.mu.Lock()
			p.shifted = &ev
			e.mu.Unlock()
		case is:
			if ev.Offset < 0 {
				ev.Offset = p.copy.Position()
			}
			if e.raise(p, ev, err) == GoOn {
				e.skip(p, err)
			}
			if ev.Kind == TakenOver && e.cfg.Policies.of(TakenOver) == Retry {
				p.claim.Release()
			}
		case errors.Is(err, standby.ErrMoved) && e.movedOften(p): // two mirrors of the flow, maybe
		case errors.Is(err, standby.ErrMoved), source.Suspicious(err):
			left = append(left, p)
		default:
			e.later(p, err)
		}
	}
	return left
}

// movedOften has a partition looked at after a pause, where somebody else writes again and again
// before anything was appended.
func (e *engine) movedOften(p *part) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.moves++
	if p.moves > 1 {
		e.lookAt(p, rawkafka.Backoff(p.moves))
	}
	return p.moves > 1
}

// later looks again soon, or raises an event where the error doesn't pass in time. A broker that is
// away is waited for: that is said once a topic.
func (e *engine) later(p *part, err error) {
	ev, is := errorEvent(err)
	e.mu.Lock()
	if !p.current(e) {
		e.mu.Unlock()
		return
	}
	tries, since := p.Fail(time.Now())
	overdue := since >= patience
	wait := !is && (!overdue || rawkafka.Retriable(err))
	if wait {
		e.void(p, source.Unseen)
		e.lookAt(p, rawkafka.Backoff(tries))
	}
	ev.Offset = p.copy.Position()
	_, said := p.said[Failed]
	e.mu.Unlock()
	switch {
	case wait && overdue && !said:
		ev.Kind = Failed
		e.say(p.topic, ev)
		return
	case wait:
		e.hooks.retry("look at "+p.src.String(), err)
		return
	case errors.Is(err, errAhead):
		ev.Kind = StandbyAhead
	case !is:
		ev.Kind = Failed
	}
	if e.raise(p, ev, err) == GoOn { // what was to be compared can't be read: that isn't what may be gone over
		e.mu.Lock()
		e.lookAt(p, e.cfg.tuning.pause)
		e.mu.Unlock()
	}
}

// skip has the next look make a hole of what can't be read, where it can't lie in tiered storage;
// there it is tried again.
func (e *engine) skip(p *part, err error) {
	var empty *rawkafka.EmptyError
	e.mu.Lock()
	defer e.mu.Unlock()
	if errors.As(err, &empty) && !empty.Log.Remote {
		p.skip = empty.Stable
		e.lookAt(p, 0)
		return
	}
	e.lookAt(p, e.cfg.tuning.pause)
}

// living leaves out partitions whose topic, on either side, isn't there, or is another: discovery
// settles that.
func (e *engine) living(ctx context.Context, ps []*part) ([]*part, error) {
	if len(ps) == 0 {
		return nil, nil
	}
	var sources, targets map[string]rawkafka.Topic
	var serr, terr error
	var wg sync.WaitGroup
	wg.Go(func() { sources, serr = e.near.Topics(ctx, names(ps, func(p *part) string { return p.source })...) })
	wg.Go(func() { targets, terr = e.far.Topics(ctx, names(ps, func(p *part) string { return p.target })...) })
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var living []*part
	anew := make(map[*topic]struct{})
	for _, p := range ps {
		from, to := sources[p.source], targets[p.target]
		switch err := errors.Join(serr, terr); {
		case err != nil:
			e.later(p, err)
		case rawkafka.Unknown(from.Err), rawkafka.Unknown(to.Err), from.Err == nil && from.ID != p.src.TopicID, to.Err == nil && to.ID != p.dst.TopicID:
			e.mu.Lock()
			if p.retried && p.state() == Stopped && !rawkafka.Unknown(from.Err) { // it is taken in anew
				anew[p.topic] = struct{}{}
			}
			p.retried = false
			if p.state() != Stopped || p.why == nil {
				e.lookAt(p, time.Second)
				e.agenda.again()
			}
			e.mu.Unlock()
		case from.Err != nil || to.Err != nil:
			e.later(p, errors.Join(from.Err, to.Err))
		default:
			living = append(living, p)
		}
	}
	for t := range anew {
		e.toTopic(t, func(context.Context) {
			if e.stoppedAll(t) {
				e.dropForNow(t)
			}
		})
	}
	return living, nil
}

func names(ps []*part, of func(*part) string) []string {
	seen := make(map[string]struct{})
	var list []string
	for _, p := range ps {
		if _, ok := seen[of(p)]; !ok {
			seen[of(p)] = struct{}{}
			list = append(list, of(p))
		}
	}
	return list
}

// act raises events, notes who is new, and reads on.
func (e *engine) act(ctx context.Context, ps []*part, found []*facts, verdicts []verdict) {
	var fresh []*part
	var on []int
	recreated := make(map[*topic]Event)
	for i, p := range ps {
		f, v := found[i], verdicts[i]
		if f.err != nil || !e.isCurrent(p) {
			continue
		}
		e.mu.Lock()
		p.hw, p.lso, p.logStart, p.standbyStart, p.heard = f.High, f.Stable, f.Start, f.standbyStart, f.at
		shifted := p.shifted
		p.shifted = nil
		if v.ev.Kind != "" {
			p.copy.FoundAt(f.standbyEnd)
			if !p.note.known() {
				p.note = f.note
			}
		}
		e.mu.Unlock()
		if v.ev.Kind == "" && shifted != nil && !v.compare { // else it is what it should be: another mirror of the flow was there first
			v.ev = *shifted
		}
		if v.ev.Kind == TopicRecreated {
			e.mu.Lock()
			recreated[p.topic] = v.ev
			e.mu.Unlock()
			continue
		}
		if v.ev.Kind != "" {
			if policy := e.raise(p, v.ev, causeOf(v.ev)); policy != GoOn {
				continue
			}
		}
		e.mu.Lock()
		if !f.note.known() || v.fill >= 0 && f.note.Start != v.fill || v.ev.Kind == StandbyBack {
			p.note = f.note
			if v.fill >= 0 {
				p.note.Start = v.fill
			}
			if !f.note.known() {
				p.note.Epoch = -1
			}
			p.copy.FoundDurable(f.certain(v))
			fresh = append(fresh, p)
		} else {
			p.note = f.note
		}
		e.mu.Unlock()
		on = append(on, i)
	}
	for t, ev := range recreated {
		e.toTopic(t, func(ctx context.Context) { e.recreated(ctx, t, ev) })
	}
	if err := e.noteAll(ctx, fresh); err != nil {
		for _, i := range on { // nothing is appended before it is noted
			e.later(ps[i], err)
		}
		return
	}
	for _, i := range on {
		e.resume(ps[i], found[i], verdicts[i])
	}
}

func causeOf(ev Event) error {
	if ev.Kind == Shifted {
		return exactcopy.ErrShifted
	}
	return nil
}

// resume reads a partition on.
func (e *engine) resume(p *part, f *facts, v verdict) {
	e.mu.Lock()
	if !p.current(e) {
		e.mu.Unlock()
		return
	}
	if p.why != nil {
		p.was = p.why
	}
	p.Turn(source.Right)
	p.why = nil
	grown := p.copy.Begin(f.standbyEnd, f.certain(v))
	p.checked, p.next, p.epoch = f.standbyEnd, f.standbyEnd, f.CurrentEpoch
	p.tail = tail{}
	p.fill, p.noteSoon = v.fill, p.copy.Durable() > p.note.Position
	if e.cfg.Once && p.end < 0 {
		p.end = f.Stable
	}
	switch {
	case v.fill >= 0:
		p.next = max(p.next, v.fill)
		e.start(p)
	case v.hole >= 0:
		e.push(p, &chunk{base: p.next, end: v.hole, stable: v.hole})
	case p.skip > p.next:
		e.push(p, &chunk{base: p.next, end: min(p.skip, f.Stable), stable: f.Stable})
	}
	p.skip = 0
	p.caughtUp(time.Now())
	if p.doubt == noDoubt || p.doubt == appending && (grown || p.lag() == 0) {
		p.well()
	}
	var was *EventError
	if p.doubt == noDoubt {
		was, p.was = p.was, nil
	}
	if f.Stable > p.next { // something comes: the standby's partition is opened meanwhile
		e.start(p)
	}
	if p.end >= 0 && p.next >= p.end {
		p.Turn(source.End)
	}
	e.finish(p)
	e.tell()
	e.mu.Unlock()
	e.steer(p)
	if was != nil {
		e.recovered(p, was)
	}
}

// finish notes that a Once is done with a partition; e.mu is held.
func (e *engine) finish(p *part) {
	if p.end < 0 || p.state() != Copying || p.working || p.fill >= 0 || p.copy.Position() < p.end {
		return
	}
	e.poke()
	if p.copy.Durable() >= p.end {
		p.Turn(source.Arrive)
	}
}
