package mirror

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// Fetched implements rawkafka.Handler: it queues what came. It waits while memory is full; a partition that is slower than the others,
// or whose broker has filled its part of the memory and stands still, is read no more for a while instead.
func (e *engine) Fetched(ctx context.Context, f rawkafka.Fetched) error {
	e.mu.Lock()
	p := e.parts[f.Partition]
	turn, err := e.fetched(ctx, p, f)
	e.mu.Unlock()
	if turn {
		e.steer(p)
	}
	return err
}

// steer has the fetcher do what the partition's state says now. Whoever changes the state calls it afterwards; of several, the last one's state holds.
func (e *engine) steer(p *part) {
	e.steering.Lock()
	defer e.steering.Unlock()
	e.mu.Lock()
	mine, follow, paused, at := e.parts[p.src] == p, p.following, p.paused, p.from()
	e.mu.Unlock()
	switch {
	case !mine: // dropped; there may be another under the same name
	case follow:
		e.f.Set(p.src, at)
	case paused:
		e.f.Pause(p.src)
	default:
		e.f.Remove(p.src)
	}
}

// fetched says that the fetcher is to be steered.
func (e *engine) fetched(ctx context.Context, p *part, f rawkafka.Fetched) (turn bool, err error) {
	if p == nil {
		return false, nil
	}
	for waited := false; ; waited = true {
		switch {
		case !p.following && !p.paused || f.Tag != p.life || f.Position < p.next:
			return false, nil
		case f.Position > p.next: // the answer of another broker has overtaken
			return true, nil
		}
		if !waited {
			p.told(f, time.Now())
			e.ledBy(p)
		}
		r := e.memory.room(keepingOf(f, len(f.Batches), p.broker))
		switch {
		case r.over: // it is read again
			p.following, p.paused, p.over = false, true, true
			e.over[p] = struct{}{}
			return true, nil
		case !r.fits:
			if err := e.waitFor(ctx, r); err != nil {
				return false, err
			}
			continue
		}
		return e.queue(p, f)
	}
}

// waitFor waits until something may have room, with e.mu given up meanwhile.
func (e *engine) waitFor(ctx context.Context, r room) error {
	e.mu.Unlock()
	defer e.mu.Lock()
	var after <-chan time.Time
	if r.after > 0 {
		t := time.NewTimer(r.after)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-r.freed:
	case <-after:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// ledBy takes in which broker of the standby leads a partition, where that is known; e.mu is held.
func (e *engine) ledBy(p *part) {
	if broker, ok := e.target.Led(p.dst); ok && broker != p.broker {
		p.broker = broker
		e.memory.leads(broker)
	}
}

// queue queues what was fetched, for which there is room; e.mu is held. turn says that the fetcher is to be steered.
func (e *engine) queue(p *part, f rawkafka.Fetched) (turn bool, err error) {
	c, whole, err := e.take(p, f)
	if err != nil {
		e.breakLocked(p)
		e.lookAt(p, 0)
		return true, nil
	}
	if c != nil {
		e.push(p, c)
	}
	if p.queued > 0 && (!whole || p.queued+keepingOf(f, len(f.Batches), p.broker).bytes > e.memory.share(p.broker)) { // the next response will be like this one
		p.following, p.paused = false, true
		return true, nil
	}
	return !whole, nil
}

// told takes in what a response says of the log.
func (p *part) told(f rawkafka.Fetched, now time.Time) {
	if p.doubt == reading {
		p.well()
	}
	if f.HighWatermark >= 0 {
		p.hw, p.heard = f.HighWatermark, now
	}
	if f.LastStable != p.lso && f.LastStable >= 0 {
		p.lso, p.stuck = f.LastStable, time.Time{}
	}
	if p.hw > p.lso && p.stuck.IsZero() {
		p.stuck = now
	} else if p.hw <= p.lso {
		p.stuck = time.Time{}
	}
	p.logStart = max(p.logStart, f.LogStart)
	p.caughtUp(now)
}

// crcOf is the batch's own CRC-32C, from its header.
func crcOf(b batch.Batch) uint32 { return binary.BigEndian.Uint32(b.Raw()[17:]) }

// take takes the batches that fit; whole says that all of them did. What doesn't has to be read again: so all do while half of the budget is free, and beyond that what is
// within the partition's share.
func (e *engine) take(p *part, f rawkafka.Fetched) (c *chunk, whole bool, err error) {
	c = &chunk{base: p.next, end: p.next, stable: p.stable(), tail: p.tail}
	room, n := max(e.memory.share(p.broker)-p.queued, e.memory.free(p.broker)), 0
	whole = true
	for b, err := range batch.All(f.Batches) {
		if err != nil {
			return nil, false, err
		}
		if n > 0 && n+b.Len() > room {
			whole = false
			break
		}
		n += b.Len()
		if b.EndOffset() <= p.next {
			continue
		}
		if c.end == c.base {
			c.first = min(b.FirstTimestamp(), b.MaxTimestamp())
		}
		c.end = b.EndOffset()
		c.tail = tail{base: b.BaseOffset(), end: b.EndOffset(), epoch: b.LeaderEpoch(), crc: crcOf(b)}
	}
	c.end = max(c.end, min(c.stable, f.VoidTo))
	if c.end == c.base {
		return nil, whole, nil
	}
	c.raw, c.keeps = f.Batches[:n:n], keepingOf(f, n, p.broker)
	if c.keeps.of == nil {
		c.raw = slices.Clone(c.raw)
	}
	c.aborted = slices.Clone(f.Aborted)
	return c, whole, nil
}

// push queues a chunk; e.mu is held.
func (e *engine) push(p *part, c *chunk) {
	if len(p.chunks) == 0 {
		p.queuedFor = p.broker
		e.memory.queuing(p.queuedFor, 1)
	}
	p.chunks = append(p.chunks, c)
	p.queued += c.keeps.bytes
	e.memory.keep(c.keeps)
	p.next, p.tail = c.end, c.tail
	e.start(p)
}

// start gives the partition to a worker, unless one has it; e.mu is held.
func (e *engine) start(p *part) {
	if !p.working {
		p.working = true
		e.ledBy(p)
		e.workers.line(p.broker, p)
	}
}

// pop takes the first chunk off, which is appended; e.mu is held. again says that the partition is to be read on.
func (e *engine) pop(p *part) (again bool) {
	c := p.chunks[0]
	p.chunks[0] = nil
	if p.chunks = p.chunks[1:]; len(p.chunks) == 0 {
		p.chunks = nil
		e.memory.queuing(p.queuedFor, -1)
	}
	p.queued -= c.keeps.bytes
	p.sent = append(p.sent, c.keeps)
	e.release(p)
	p.batch = c.tail
	e.tell()
	if p.paused && !p.over && !p.broken && p.queued <= e.memory.share(p.broker)/2 {
		p.paused, p.following = false, true
		return true
	}
	return false
}

// breakLocked drops what is queued: the partition is looked at again. e.mu is held.
func (e *engine) breakLocked(p *part) {
	for _, c := range p.chunks {
		e.memory.drop(c.keeps)
	}
	for _, k := range p.sent {
		e.memory.drop(k)
	}
	if len(p.chunks) > 0 {
		e.memory.queuing(p.queuedFor, -1)
	}
	p.chunks, p.sent, p.queued = nil, nil, 0
	p.life++
	p.following, p.paused, p.over, p.broken = false, false, false, true
	e.tell()
}

// readOn reads partitions on that weren't for want of memory, as soon as their brokers have let some go.
func (e *engine) readOn(ctx context.Context) error {
	for {
		freed := e.memory.letGo()
		var on []*part
		e.mu.Lock()
		for p := range e.over {
			if p.over && !e.memory.calm(p.broker) {
				continue
			}
			delete(e.over, p)
			if p.over && p.paused {
				p.following, p.paused, p.over = true, false, false
				on = append(on, p)
			}
		}
		e.mu.Unlock()
		for _, p := range on {
			e.steer(p)
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// from is where the fetcher goes on.
func (p *part) from() rawkafka.Position {
	at := rawkafka.Position{Offset: p.next, Until: p.end, CurrentEpoch: p.epoch, LastEpoch: -1, Tag: p.life, Log: p.log}
	if p.end < 0 {
		at.Until = 0
	}
	if p.tail.end == p.next && p.next > 0 {
		at.LastEpoch = p.tail.epoch
	}
	return at
}

// Failed implements rawkafka.Handler: the partition is looked at, but for what passes by itself after a pause.
func (e *engine) Failed(src rawkafka.Partition, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.parts[src]
	if p == nil || !p.following {
		return
	}
	p.following = false
	p.broken = true
	p.life++
	if !suspicious(err) {
		p.failed, p.doubt = err, reading
	}
	e.lookAt(p, 0)
}

// suspicious errors are no faults: the log must be looked at.
func suspicious(err error) bool {
	for _, is := range []error{rawkafka.ErrLeaderChanged, rawkafka.ErrDiverged, kerr.OffsetOutOfRange} {
		if errors.Is(err, is) {
			return true
		}
	}
	return err == nil || rawkafka.Unknown(err)
}
