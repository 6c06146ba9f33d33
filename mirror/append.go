package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kafkadr/kafkadr/internal/copylock"
	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// errMoved: somebody else has written since the partition was looked at.
var errMoved = errors.New("the standby's log has grown since it was looked at")

// append appends what is queued of a partition, until nothing is, or the partition is given up.
func (e *engine) append(ctx context.Context, p *part) {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	e.mu.Lock()
	p.giveUp = giveUp
	e.mu.Unlock()
	err := e.begin(ctx, p)
	for err == nil {
		c := e.next(ctx, p)
		if c == nil {
			return
		}
		if err = e.appendChunk(ctx, p, c); err == nil {
			e.done(p, c)
		}
	}
	e.fail(ctx, p, err)
}

// next is the next chunk to append, or nil, where nothing is left and what was appended has arrived: the partition is then nobody's.
func (e *engine) next(ctx context.Context, p *part) *chunk {
	for {
		e.mu.Lock()
		switch {
		case !p.right() || ctx.Err() != nil:
			e.mu.Unlock()
			e.fail(ctx, p, nil)
			return nil
		case len(p.chunks) > 0:
			c := p.chunks[0]
			e.mu.Unlock()
			return c
		case p.to == nil || p.flushed():
			p.working = false
			p.reached()
			e.release(p)
			p.caughtUp(time.Now())
			e.finish(p)
			e.tell()
			beats := p.beats
			p.beats = nil
			e.mu.Unlock()
			e.heard(beats, time.Now())
			return nil
		}
		to := p.to
		e.mu.Unlock()
		if err := to.Flush(ctx, false); err != nil {
			e.fail(ctx, p, err)
			return nil
		}
	}
}

// flushed says that all was appended that was given to the copier; e.mu is held.
func (p *part) flushed() bool {
	end, _ := p.to.Reached()
	return end == p.to.Position()
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

// fail ends a worker's work, with an error, or because what is queued is void: the partition is looked at again. It is the worker's until its copier's end has been waited for.
func (e *engine) fail(ctx context.Context, p *part, err error) {
	e.mu.Lock()
	to := p.to
	p.to = nil
	e.void(p, source.Break)
	e.mu.Unlock()
	e.steer(p)
	if to != nil {
		to.Close()
	}
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

// done takes an appended chunk off.
func (e *engine) done(p *part, c *chunk) {
	e.mu.Lock()
	if !p.right() || len(p.chunks) == 0 || p.chunks[0] != c {
		e.mu.Unlock()
		return
	}
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

// begin opens the standby's partition, once, and fills a new one up to its log start.
func (e *engine) begin(ctx context.Context, p *part) error {
	if p.to == nil {
		to, err := e.copier.Open(ctx, p.dst)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		e.mu.Lock()
		p.to = to
		if p.created && p.checked == 0 && p.Fresh() { // nor had this process markers under way
			to.Settled()
		}
		moved := to.Position() != p.checked
		e.mu.Unlock()
		if moved {
			return errMoved
		}
	}
	if p.fill < 0 {
		return nil
	}
	if n := p.fill - p.to.Position(); n > 0 {
		if err := p.to.Fill(ctx, n); err != nil {
			return err
		}
		if err := p.to.Flush(ctx, true); err != nil {
			return err
		}
	}
	if err := e.target.DeleteBefore(ctx, p.dst, p.fill); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p.standbyStart = p.fill
	p.fill = -1
	p.reached()
	return nil
}

// appendChunk gives a chunk to the copier, its bytes as well. A hole at its end is left to the next one, where there will be one: it may go on there.
func (e *engine) appendChunk(ctx context.Context, p *part, c *chunk) error {
	p.tracker.Add(c.aborted...)
	from := p.to.Position()
	if from > c.end {
		return fmt.Errorf("the standby is at %d, what was read ends at %d", from, c.end)
	}
	e.mu.Lock()
	filter := copyops.Filter{MaxBatch: p.maxBatch}
	e.mu.Unlock()
	ops := copyops.New(&chunkSource{raw: c.raw, tracker: &p.tracker}, filter, from, c.end)
	defer ops.Close()
	var given []handed
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		p.handed = append(p.handed, given...)
	}()
	for {
		o, err := ops.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if o.Hole() && o.End == c.end && c.end < p.untilFor(c.stable) {
			break
		}
		h := handed{end: o.End, records: o.Records, bytes: int64(o.Batch.Len())} // Give changes the batch
		if err := e.do(ctx, p, o); err != nil {
			return err
		}
		if h.bytes > 0 {
			given = append(given, h)
			c.keeps.until = h.end
		}
	}
	return nil
}

// do gives an operation to the copier.
func (e *engine) do(ctx context.Context, p *part, o copyops.Op) error {
	switch {
	case o.Hole():
		return e.hole(ctx, p, o.End-o.Base)
	case o.Whole:
		return p.to.Give(ctx, o.Batch)
	}
	return p.to.Append(ctx, o.Batch)
}

// untilFor is where reading ends for now.
func (p *part) untilFor(stable int64) int64 {
	if p.end >= 0 {
		return min(p.end, stable)
	}
	return stable
}

// hole makes a hole, guarded.
func (e *engine) hole(ctx context.Context, p *part, n int64) error {
	if err := e.claim(ctx, p.topic); err != nil {
		return err
	}
	if err := e.locks.Held(ctx, p.dst.TopicID); err != nil {
		return err
	}
	if err := e.confirm(ctx, p); err != nil {
		return err
	}
	return p.to.Hole(ctx, n)
}

// confirm looks, once the topic was claimed, whether whoever made its holes before has got further than we have.
func (e *engine) confirm(ctx context.Context, p *part) error {
	e.mu.Lock()
	confirmed := p.confirmed
	e.mu.Unlock()
	if confirmed {
		return nil
	}
	if err := p.to.Flush(ctx, true); err != nil {
		return err
	}
	got, err := e.target.ListOffsets(ctx, []rawkafka.Partition{p.dst}, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug)
	if err == nil {
		err = got[p.dst].Err
	}
	if err != nil {
		return err
	}
	e.mu.Lock()
	p.confirmed = true
	e.mu.Unlock()
	if got[p.dst].Offset != p.to.Position() {
		return errMoved
	}
	return nil
}

// claim takes the topic's holes over from whoever made them, once.
func (e *engine) claim(ctx context.Context, t *topic) error {
	for {
		e.mu.Lock()
		busy := t.claiming
		if t.claimed {
			e.mu.Unlock()
			return nil
		}
		if busy == nil {
			t.claiming = make(chan struct{})
			if t.claimSince.IsZero() {
				t.claimSince = time.Now()
			}
			e.mu.Unlock()
			break
		}
		e.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	_, err := e.locks.Claim(ctx, t.targetID)
	var denied *copylock.DeniedError
	if errors.As(err, &denied) {
		e.say(t, Event{Kind: HolesUnguarded, Detail: err.Error()})
		err = nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	close(t.claiming)
	t.claiming, t.claimed = nil, err == nil
	if t.claimed || !rawkafka.Retriable(err) {
		t.claimSince = time.Time{}
		delete(t.said, CoordinatorAway)
	}
	return err
}

// chunkSource yields a chunk's batches.
type chunkSource struct {
	raw     []byte
	tracker *batch.AbortTracker
}

// Next implements copyops.Source.
func (s *chunkSource) Next() (b batch.Batch, aborted bool, err error) {
	if len(s.raw) == 0 {
		return b, false, io.EOF
	}
	b, s.raw, err = batch.Split(s.raw)
	if err != nil {
		return b, false, err
	}
	return b, s.tracker.Aborted(b), nil
}

// Close implements copyops.Source.
func (s *chunkSource) Close() {}
