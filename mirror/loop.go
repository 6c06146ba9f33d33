package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const (
	loopTick    = 100 * time.Millisecond
	settleEvery = 500 * time.Millisecond
	// stuckFor is how long a last stable offset stands still below the high watermark until that is an event.
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

// loop looks after everything but the data itself.
func (e *engine) loop(ctx context.Context, stop <-chan struct{}) error {
	tick := time.NewTicker(loopTick)
	defer tick.Stop()
	looking, cancel := until(ctx, stop)
	defer cancel()
	var discover, hurried, settle, note, soon, stuck clock
	note.due(e.cfg.tuning.identity)
	for {
		if e.hurry() && hurried.due(fullLook) || discover.due(e.cfg.Discover) {
			discover = clock{time.Now().Add(e.cfg.Discover)}
			if err := e.survey(looking); err != nil {
				return e.cut(ctx, looking, err)
			}
		}
		if err := e.lookAll(ctx, looking); err != nil {
			return e.cut(ctx, looking, err)
		}
		if settle.due(settleEvery) {
			if err := e.settle(ctx); err != nil {
				return err
			}
		}
		if all := note.due(e.cfg.tuning.identity); all || soon.due(settleEvery) {
			if err := e.noteMoved(ctx, all); err != nil {
				return err
			}
		}
		if stuck.due(time.Second) {
			e.lookForStuck(time.Now())
			e.lookForWell()
		}
		if e.cfg.Once && e.onceDone() {
			return e.endOnce(ctx)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-stop:
			return e.drain(ctx)
		case <-tick.C:
		case <-e.wake:
		}
	}
}

// until is a context that ends with stop, too: looks at a source that is away aren't waited for then.
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

// cut is what becomes of an error of a look: where Stop has cut it short, what was read is still appended.
func (e *engine) cut(ctx, looking context.Context, err error) error {
	if looking.Err() != nil && ctx.Err() == nil {
		return e.drain(ctx)
	}
	return err
}

// hurry says that discovery shall look now.
func (e *engine) hurry() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.soon
}

// survey is one look at topics, standby ends and log starts.
func (e *engine) survey(ctx context.Context) error {
	e.mu.Lock()
	e.soon = false
	e.mu.Unlock()
	err := e.discover(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		e.hooks.retry("discover", err)
		return nil
	}
	e.mu.Lock()
	e.discovered = e.discovered || e.pending+e.unsure == 0
	e.mu.Unlock()
	if err := e.watch(ctx); err != nil {
		return err
	}
	if err := e.watchStarts(ctx); err != nil {
		return err
	}
	e.followStarts(ctx)
	return nil
}

// watch looks whether the standby's logs end where they should: where nothing is under way, somebody else's record would show.
func (e *engine) watch(ctx context.Context) error {
	at := make(map[rawkafka.Partition]*part)
	var ps []rawkafka.Partition
	positions := make(map[*part]int64)
	e.mu.Lock()
	for _, p := range e.parts {
		if p.state == Copying && !p.working && !p.broken && p.position >= 0 && p.look.IsZero() {
			p.reached()
			at[p.dst], positions[p] = p, p.position
			ps = append(ps, p.dst)
		}
	}
	e.mu.Unlock()
	if len(ps) == 0 {
		return nil
	}
	ends, err := e.far.ListOffsets(ctx, ps, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for dst, p := range at {
		end := ends[dst]
		if end.Err == nil && end.Offset != positions[p] && p.position == positions[p] && !p.working && p.state == Copying && len(p.chunks) == 0 {
			e.breakLocked(p)
			e.lookAt(p, 0)
		}
	}
	return nil
}

// watchStarts takes in where the standby's logs start: its own retention moves them too, and brokers that are killed may bring one back, which they write down once a minute.
func (e *engine) watchStarts(ctx context.Context) error {
	at := make(map[rawkafka.Partition]*part)
	var ps []rawkafka.Partition
	e.mu.Lock()
	for _, p := range e.parts {
		if (p.state == Copying || p.state == Done) && p.fill < 0 {
			at[p.dst] = p
			ps = append(ps, p.dst)
		}
	}
	e.mu.Unlock()
	if len(ps) == 0 {
		return nil
	}
	starts, err := e.far.ListOffsets(ctx, ps, rawkafka.Earliest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for dst, p := range at {
		if start := starts[dst]; start.Err == nil {
			p.standbyStart = start.Offset
		}
	}
	return nil
}

// settle asks how far the standby is durable, where the answers of what was appended didn't say so.
func (e *engine) settle(ctx context.Context) error {
	at := make(map[rawkafka.Partition]*part)
	var ps []rawkafka.Partition
	e.mu.Lock()
	for _, p := range e.parts {
		if p.reached(); p.state == Copying && p.durable < p.position {
			at[p.dst] = p
			ps = append(ps, p.dst)
		}
	}
	e.mu.Unlock()
	if len(ps) == 0 {
		return nil
	}
	ends, err := e.far.ListOffsets(ctx, ps, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for dst, p := range at {
		if end := ends[dst]; end.Err == nil && p.state == Copying {
			p.durable = max(p.durable, min(end.Offset, p.position))
			p.count()
			e.finish(p)
		}
	}
	return nil
}

// noteMoved writes identities: of all that have moved, or of those alone whose leader has changed.
func (e *engine) noteMoved(ctx context.Context, all bool) error {
	err := e.noteAll(ctx, e.toNote(!all))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		e.hooks.retry("note positions", err)
	}
	return nil
}

// lookForStuck raises an event where an open transaction holds the last stable offset back.
func (e *engine) lookForStuck(now time.Time) {
	var stuck []*part
	var high []int64
	e.mu.Lock()
	for _, p := range e.parts {
		if !p.stuck.IsZero() && now.Sub(p.stuck) > stuckFor && p.stuckAt != p.lso {
			p.stuckAt = p.lso
			stuck, high = append(stuck, p), append(high, p.hw)
		}
	}
	e.mu.Unlock()
	for i, p := range stuck {
		e.raise(p, Event{Kind: LSOStuck, Offset: p.stuckAt, Other: high[i], Detail: fmt.Sprintf("an open transaction has held the last stable offset for %s", stuckFor)}, nil)
	}
}

// lookForWell says so where a topic had failed, and none of its partitions does any more, and where a partition had stopped for what is over.
func (e *engine) lookForWell() {
	var well []*topic
	stopped := make(map[*part]*EventError)
	e.mu.Lock()
	for _, p := range e.parts {
		if p.was != nil && p.doubt == noDoubt && p.state != Stopped {
			stopped[p], p.was = p.was, nil
		}
	}
	for _, t := range e.topics {
		if _, said := t.said[Failed]; said && !slices.ContainsFunc(t.parts, func(p *part) bool { return !p.failing.IsZero() }) {
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
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.discovered {
		return false
	}
	for _, p := range e.parts {
		if !p.gone() {
			return false
		}
	}
	return true
}

// endOnce notes positions and keeps everything else in step once more.
func (e *engine) endOnce(ctx context.Context) error {
	if err := e.watchStarts(ctx); err != nil {
		return err
	}
	e.followStarts(ctx)
	noted := make(chan error, 1)
	go func() { noted <- e.noteAll(ctx, e.toNote(false)) }()
	left := e.keep.once(ctx)
	if err := <-noted; err != nil {
		return err
	}
	return errors.Join(e.stopped(), left)
}

// stopped are the partitions and topics that aren't mirrored, as an error.
func (e *engine) stopped() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, p := range e.parts {
		if p.state == Stopped && p.why != nil {
			errs = append(errs, p.why)
		}
	}
	for _, ev := range e.refused {
		errs = append(errs, ev)
	}
	if len(errs) == 0 {
		return nil
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return &StoppedError{Errs: errs}
}

// drain ends cleanly: what was read is appended and durable, and positions are noted.
func (e *engine) drain(ctx context.Context) error {
	e.mu.Lock()
	reading := slices.Collect(maps.Values(e.parts))
	for _, p := range reading {
		p.following, p.paused, p.over = false, false, false
	}
	e.mu.Unlock()
	for _, p := range reading {
		e.steer(p)
	}
	if err := e.idle(ctx); err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(comparers)
	for _, to := range e.opened() {
		g.Go(func() error {
			if err := to.Flush(gctx, true); err != nil && !errors.Is(err, exactcopy.ErrUndecided) && !errors.Is(err, exactcopy.ErrClosed) {
				return err
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return e.noteAll(ctx, e.toNote(false))
}

// idle waits until no worker has anything.
func (e *engine) idle(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		busy := false
		for _, p := range e.parts {
			busy = busy || p.working
		}
		if !busy {
			return nil
		}
		if err := e.wait(ctx); err != nil {
			return err
		}
	}
}

func (e *engine) opened() []*exactcopy.Partition {
	e.mu.Lock()
	defer e.mu.Unlock()
	var open []*exactcopy.Partition
	for _, p := range e.parts {
		if p.to != nil && p.state == Copying {
			open = append(open, p.to)
		}
	}
	return open
}
