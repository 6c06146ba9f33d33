package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
)

const (
	loopTick    = 100 * time.Millisecond
	settleEvery = 500 * time.Millisecond
	// stuckFor is how long a last stable offset stands still below the high watermark until that is
	// an event.
	stuckFor = time.Minute
	// fullLook is how often discovery looks again because something has happened, at most.
	fullLook = 200 * time.Millisecond
)

// clock says when something is due.
type clock struct{ next time.Time }

func (c *clock) due(every time.Duration) bool {
	if time.Now().Before(c.next) {
		return false
	}
	c.next = time.Now().Add(every)
	return true
}

// loop looks after everything but the data itself. It waits for nobody: what it has to ask is asked
// in lanes.
func (e *engine) loop(ctx context.Context, stop <-chan struct{}) error {
	tick := time.NewTicker(loopTick)
	defer tick.Stop()
	asking, cancel := until(ctx, stop)
	defer cancel()
	var s schedule
	s.note.due(e.cfg.tuning.identity)
	for {
		e.ask(asking, &s)
		if s.stuck.due(time.Second) {
			e.lookForStuck(time.Now())
			e.lookForWell()
		}
		if e.cfg.Once && e.lanes.free(of(discovering)) && e.onceDone() {
			return e.endOnce(ctx)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-stop:
			cancel()
			return e.drain(ctx)
		case <-tick.C:
		case <-e.wake:
		}
	}
}

// schedule is when the loop's work is due.
type schedule struct{ discover, hurried, watch, settle, note, soon, stuck clock }

// ask starts what is due, in lanes that are free. What is done there ends with the context.
func (e *engine) ask(ctx context.Context, s *schedule) {
	if at := of(discovering); e.lanes.free(at) && (e.agenda.hurry() && s.hurried.due(fullLook) || s.discover.due(e.cfg.Discover)) {
		s.discover = clock{time.Now().Add(e.cfg.Discover)}
		e.lanes.run(at, func() { e.survey(ctx) }, e.poke)
	}
	for at, ps := range e.due(time.Now()) {
		e.lanes.run(at, func() { e.look(ctx, at, ps) }, e.poke)
	}
	if s.settle.due(settleEvery) {
		e.each(settling, (*part).unsettled, func(ps []*part) { e.settle(ctx, ps) })
	}
	if at := of(noting); e.lanes.free(at) {
		if all := s.note.due(e.cfg.tuning.identity); all || s.soon.due(settleEvery) {
			e.lanes.run(at, func() { e.noteMoved(ctx, all) }, e.poke)
		}
	}
	if s.watch.due(e.cfg.Discover) {
		e.each(watching, func(p *part) bool { return p.state() == Copying || p.state() == Done }, func(ps []*part) {
			e.watch(ctx, ps)
			e.watchStarts(ctx, ps)
			e.sayTrimmed(ps)
			e.followStarts(ctx, ps)
		})
	}
}

// each does something with partitions of each broker of the standby, in lanes of their own. What
// isn't free has it done the next time.
func (e *engine) each(work string, which func(*part) bool, do func([]*part)) {
	for broker, ps := range e.byBroker(which) {
		if at := (lane{work, -1, broker}); e.lanes.free(at) {
			e.lanes.run(at, func() { do(ps) }, func() {})
		}
	}
}

// byBroker are partitions by the broker of the standby that leads them, as far as is known.
func (e *engine) byBroker(which func(*part) bool) map[int32][]*part {
	e.mu.Lock()
	defer e.mu.Unlock()
	by := make(map[int32][]*part)
	for _, p := range e.parts {
		if which(p) {
			e.ledBy(p)
			by[p.broker] = append(by[p.broker], p)
		}
	}
	return by
}

// until is a context that ends with stop, too: looks at a source that is away aren't waited for
// then.
func until(ctx context.Context, stop <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-stop:
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// survey is one look at topics. Nobody else changes which there are: what others find out about a
// topic waits here.
func (e *engine) survey(ctx context.Context) {
	for _, do := range e.agenda.take() {
		do(ctx)
	}
	err := e.discover(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		e.hooks.retry("discover", err)
		return
	}
	if e.pending+e.unsure == 0 {
		e.agenda.setWhole(true)
	}
}

// toTopic has discovery do something about a topic, unless it has been forgotten by then.
func (e *engine) toTopic(t *topic, do func(context.Context)) {
	e.agenda.add(func(ctx context.Context) {
		e.mu.Lock()
		mine := e.topics[t.source] == t
		e.mu.Unlock()
		if mine {
			do(ctx)
		}
	})
}

// watch looks whether the standby's logs end where they should: where nothing is under way,
// somebody else's record would show.
func (e *engine) watch(ctx context.Context, all []*part) {
	at := make(map[rawkafka.Partition]*part)
	positions := make(map[*part]int64)
	e.mu.Lock()
	for _, p := range all {
		if p.right() && !p.working && p.copy.Position() >= 0 && p.Unlooked() {
			p.reached()
			at[p.dst], positions[p] = p, p.copy.Position()
		}
	}
	e.mu.Unlock()
	ends := e.standby(ctx, at, rawkafka.Latest, rawkafka.Debug)
	e.mu.Lock()
	defer e.mu.Unlock()
	for dst, end := range ends {
		p := at[dst]
		if end != positions[p] && p.copy.Position() == positions[p] && !p.working && p.Unlooked() && p.state() == Copying && len(p.chunks) == 0 {
			e.void(p, source.Break)
			e.lookAt(p, 0)
		}
	}
}

// standby asks the standby for offsets. Those that it doesn't tell are left out.
func (e *engine) standby(ctx context.Context, at map[rawkafka.Partition]*part, which int64, replica int32) map[rawkafka.Partition]int64 {
	offsets := make(map[rawkafka.Partition]int64, len(at))
	if len(at) == 0 {
		return offsets
	}
	got, _ := e.far.ListOffsets(ctx, slices.Collect(maps.Keys(at)), which, rawkafka.ReadUncommitted, replica) // the error is the context's
	for p, o := range got {
		if o.Err == nil {
			offsets[p] = o.Offset
		}
	}
	return offsets
}

// watchStarts takes in where the standby's logs start: its own retention moves them too, and
// brokers that are killed may bring one back, which they write down once a minute.
func (e *engine) watchStarts(ctx context.Context, all []*part) {
	at := make(map[rawkafka.Partition]*part)
	e.mu.Lock()
	for _, p := range all {
		if (p.state() == Copying || p.state() == Done) && p.fill < 0 {
			at[p.dst] = p
		}
	}
	e.mu.Unlock()
	starts := e.standby(ctx, at, rawkafka.Earliest, rawkafka.Consumer)
	e.mu.Lock()
	defer e.mu.Unlock()
	for dst, start := range starts {
		at[dst].standbyStart = start
	}
}

// unsettled says that the answers of what was appended didn't say that it is durable; the engine's
// lock is held.
func (p *part) unsettled() bool {
	p.reached()
	return p.state() == Copying && p.copy.Durable() < p.copy.Position()
}

// settle asks how far the standby is durable, where the answers of what was appended didn't say so.
func (e *engine) settle(ctx context.Context, ps []*part) {
	at := make(map[rawkafka.Partition]*part, len(ps))
	for _, p := range ps {
		at[p.dst] = p
	}
	ends := e.standby(ctx, at, rawkafka.Latest, rawkafka.Consumer)
	e.mu.Lock()
	defer e.mu.Unlock()
	for dst, end := range ends {
		if p := at[dst]; p.state() == Copying {
			p.copy.Settle(end)
			e.finish(p)
		}
	}
}

// settleAll settles the partitions of all brokers, those that stand still for a moment only.
func (e *engine) settleAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, impatience)
	defer cancel()
	var wg sync.WaitGroup
	for _, ps := range e.byBroker((*part).unsettled) {
		wg.Go(func() { e.settle(ctx, ps) })
	}
	wg.Wait()
}

// noteMoved writes identities: of all that have moved, or of those alone whose leader has changed.
func (e *engine) noteMoved(ctx context.Context, all bool) {
	if err := e.noteAll(ctx, e.toNote(!all)); err != nil && ctx.Err() == nil {
		e.hooks.retry("note positions", err)
	}
}

// lookForStuck raises events of what waits without an end: for an open transaction at the source,
// for the standby's replicas, or for its coordinator.
func (e *engine) lookForStuck(now time.Time) {
	stuck := make(map[*part][]Event)
	var claims []*topic
	e.mu.Lock()
	for _, p := range e.parts {
		if !p.stuck.IsZero() && now.Sub(p.stuck) > stuckFor && p.stuckAt != p.lso {
			p.stuckAt = p.lso
			stuck[p] = append(stuck[p], Event{Kind: LSOStuck, Offset: p.stuckAt, Other: p.hw, Detail: fmt.Sprintf("an open transaction has held the last stable offset for %s", stuckFor)})
		}
		if p.undurable.stands(p.unsettled(), p.copy.Durable(), now) {
			stuck[p] = append(stuck[p], Event{Kind: UnderReplicated, Offset: p.copy.Durable(), Other: p.copy.Position(), Detail: fmt.Sprintf("the standby's in-sync replicas have got no more for %s", stuckFor)})
		}
	}
	for _, t := range e.topics {
		switch since := t.waits(); {
		case since.IsZero():
			delete(t.said, CoordinatorAway)
		case now.Sub(since) > stuckFor:
			claims = append(claims, t)
		}
	}
	e.mu.Unlock()
	for p, evs := range stuck {
		for _, ev := range evs {
			e.raise(p, ev, nil)
		}
	}
	for _, t := range claims {
		e.say(t, Event{Kind: CoordinatorAway, Detail: fmt.Sprintf("holes have waited for the transaction coordinator for %s", stuckFor)})
	}
}

// lookForWell says so where a topic had failed, and none of its partitions does any more, and where
// a partition had stopped for what is over.
func (e *engine) lookForWell() {
	var well []*topic
	stopped := make(map[*part]*EventError)
	e.mu.Lock()
	for _, p := range e.parts {
		if p.was != nil && p.doubt == noDoubt && p.state() != Stopped {
			stopped[p], p.was = p.was, nil
		}
	}
	for _, t := range e.topics {
		if _, said := t.said[Failed]; said && !slices.ContainsFunc(t.parts, func(p *part) bool { return p.Fails() }) {
			delete(t.said, Failed)
			well = append(well, t)
		}
	}
	e.mu.Unlock()
	for p, was := range stopped {
		e.recovered(p, was)
	}
	for _, t := range well {
		e.hooks.event(Event{
			Time: time.Now(), Kind: Recovered, Topic: t.source, Target: t.target, Partition: -1, Offset: -1, Other: -1,
			Detail: fmt.Sprintf("mirrored again after %s", Failed),
		})
	}
}

// onceDone says that every partition is done, or has stopped.
func (e *engine) onceDone() bool {
	if !e.agenda.isWhole() {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.parts {
		if !p.gone() {
			return false
		}
	}
	return true
}

// endOnce notes positions and keeps everything else in step once more.
func (e *engine) endOnce(ctx context.Context) error {
	ps := e.all()
	e.watchStarts(ctx, ps)
	e.followStarts(ctx, ps)
	noted := make(chan error, 1)
	go func() { noted <- e.noteAll(ctx, e.toNote(false)) }()
	left := e.keep.once(ctx)
	if err := <-noted; err != nil {
		return err
	}
	return errors.Join(e.stopped(), left)
}

// all are all partitions.
func (e *engine) all() []*part {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Values(e.parts))
}

// stopped are the partitions and topics that aren't mirrored, as an error.
func (e *engine) stopped() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	errs := e.refusals.errs()
	for _, p := range e.parts {
		if p.state() == Stopped && p.why != nil {
			errs = append(errs, p.why)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return &StoppedError{Errs: errs}
}
