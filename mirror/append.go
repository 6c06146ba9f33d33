package mirror

import (
	"context"
	"time"

	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
)

// append appends what is queued of a partition, until nothing is, or the partition is given up.
func (e *engine) append(ctx context.Context, p *part) {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	e.mu.Lock()
	p.giveUp = giveUp
	e.mu.Unlock()
	err := e.begin(ctx, p)
	for err == nil {
		c, more, longest := e.next(ctx, p)
		if c == nil {
			return
		}
		var until int64
		if until, err = p.copy.Append(ctx, standby.Chunk{Raw: c.raw, Aborted: c.aborted, End: c.end, More: more, MaxBatch: longest}); err == nil {
			e.done(p, c, until)
		}
	}
	e.fail(ctx, p, err)
}

// next is the next chunk to append, whether the log goes on behind it, and the longest batch to
// append; nil, where nothing is left and what was appended has arrived: the partition is then
// nobody's.
func (e *engine) next(ctx context.Context, p *part) (c *chunk, more bool, longest int) {
	for {
		e.mu.Lock()
		switch {
		case !p.right() || ctx.Err() != nil:
			e.mu.Unlock()
			e.fail(ctx, p, nil)
			return nil, false, 0
		case len(p.chunks) > 0:
			c := p.chunks[0]
			more, longest = c.end < p.untilFor(c.stable), p.maxBatch
			e.mu.Unlock()
			return c, more, longest
		case p.copy.Flushed():
			p.working = false
			p.reached()
			e.release(p)
			p.caughtUp(time.Now())
			e.finish(p)
			e.tell()
			beats := p.beats
			p.beats = nil
			e.mu.Unlock()
			e.beats.heard(beats, time.Now())
			return nil, false, 0
		}
		e.mu.Unlock()
		if err := p.copy.Flush(ctx, false); err != nil {
			e.fail(ctx, p, err)
			return nil, false, 0
		}
	}
}

// caughtUp forgets since when the partition is behind, where it isn't; e.mu is held.
func (p *part) caughtUp(now time.Time) {
	switch {
	case p.lag() == 0:
		p.behind, p.caught = time.Time{}, true
	case p.behind.IsZero():
		p.behind = now
	}
}

// fail ends a worker's work, with an error, or because what is queued is void: the partition is
// looked at again. It is the worker's until its copier's end has been waited for.
func (e *engine) fail(ctx context.Context, p *part, err error) {
	e.mu.Lock()
	e.void(p, source.Break)
	e.mu.Unlock()
	e.steer(p)
	p.copy.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	p.working = false
	if err != nil && ctx.Err() == nil {
		p.failed, p.doubt = err, appending
		e.lookAt(p, 0)
	}
	e.poke()
	e.tell()
}

// done takes an appended chunk off, whose last batch ends at until.
func (e *engine) done(p *part, c *chunk, until int64) {
	e.mu.Lock()
	if !p.right() || len(p.chunks) == 0 || p.chunks[0] != c {
		e.mu.Unlock()
		return
	}
	c.keeps.until = until
	p.reached()
	p.moves = 0
	if p.source == e.sel.own {
		p.beats = append(p.beats, c.raw...)
	}
	again := e.pop(p)
	e.mu.Unlock()
	if again {
		e.steer(p)
	}
}

// begin opens the copy, once, and fills a new one up to its log start.
func (e *engine) begin(ctx context.Context, p *part) error {
	e.mu.Lock()
	at, fresh, fill := p.checked, p.created && p.checked == 0 && p.Fresh(), p.fill
	e.mu.Unlock()
	if err := p.copy.Open(ctx, at, fresh); err != nil || fill < 0 {
		return err
	}
	if err := p.copy.Fill(ctx, fill); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p.standbyStart = fill
	p.fill = -1
	p.reached()
	return nil
}

// untilFor is where reading ends for now.
func (p *part) untilFor(stable int64) int64 {
	if p.end >= 0 {
		return min(p.end, stable)
	}
	return stable
}
