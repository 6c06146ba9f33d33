package mirror

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// Arrived implements [source.Sink]: it queues what came. It waits while memory is full; a partition
// that is slower than the others, or whose broker has filled its part of the memory and stands
// still, is read no more for a while instead.
func (e *engine) Arrived(ctx context.Context, f rawkafka.Fetched) (steer bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.parts[f.Partition]
	for waited := false; ; waited = true {
		switch {
		case p == nil || e.draining || p.Use(f, p.next) == source.Stale:
			return false, nil
		case p.Use(f, p.next) == source.Overtaken:
			return true, nil
		}
		if !waited {
			p.told(f, time.Now())
			e.ledBy(p)
		}
		r := e.memory.room(keepingOf(f, len(f.Batches), p.broker))
		switch {
		case r.over: // it is read again
			p.Turn(source.Full)
			e.over[p] = struct{}{}
			return true, nil
		case !r.fits:
			if err := e.waitFor(ctx, r); err != nil {
				return false, err
			}
			continue
		}
		return e.queue(p, f), nil
	}
}

// Wanted implements [source.Sink].
func (e *engine) Wanted(src rawkafka.Partition) source.Want {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.parts[src]
	if p == nil || e.draining {
		return source.Want{}
	}
	return p.Want(p.from())
}

// steer has partitions read as their stages say now.
func (e *engine) steer(ps ...*part) {
	srcs := make([]rawkafka.Partition, len(ps))
	for i, p := range ps {
		srcs[i] = p.src
	}
	e.reader.Steer(srcs...)
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

// queue queues what was fetched, for which there is room; e.mu is held.
func (e *engine) queue(p *part, f rawkafka.Fetched) (steer bool) {
	c, whole, err := e.take(p, f)
	if err != nil {
		e.void(p, source.Break)
		e.lookAt(p, 0)
		return true
	}
	if c != nil {
		e.push(p, c)
	}
	if p.queued > 0 && (!whole || p.queued+keepingOf(f, len(f.Batches), p.broker).bytes > e.memory.share(p.broker)) { // the next response will be like this one
		p.Turn(source.Full)
		return true
	}
	return !whole
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

// take takes the batches that fit; whole says that all of them did. What doesn't has to be read
// again: so all do while half of the budget is free, and beyond that what is within the partition's
// share.
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

// pop takes the first chunk off, which is appended; e.mu is held. again says that the partition is
// to be read on.
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
	if _, over := e.over[p]; over || p.Stage() != source.Held || p.queued > e.memory.share(p.broker)/2 {
		return false
	}
	p.Turn(source.Room)
	return true
}

// void drops what is queued, at a turn that makes it void; e.mu is held.
func (e *engine) void(p *part, t source.Turn) {
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
	delete(e.over, p)
	p.Turn(t)
	e.tell()
}

// readOn reads partitions on that weren't for want of memory, as soon as their brokers have let
// some go.
func (e *engine) readOn(ctx context.Context) error {
	for {
		freed := e.memory.letGo()
		var on []*part
		e.mu.Lock()
		for p := range e.over {
			if e.memory.calm(p.broker) {
				delete(e.over, p)
				p.Turn(source.Room)
				on = append(on, p)
			}
		}
		e.mu.Unlock()
		e.steer(on...)
		select {
		case <-freed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// from is where the fetcher goes on.
func (p *part) from() rawkafka.Position {
	at := rawkafka.Position{Offset: p.next, Until: p.end, CurrentEpoch: p.epoch, LastEpoch: -1, Log: p.log}
	if p.end < 0 {
		at.Until = 0
	}
	if p.tail.end == p.next && p.next > 0 {
		at.LastEpoch = p.tail.epoch
	}
	return at
}

// Failed implements [source.Sink]: the partition is looked at, but for what passes by itself after
// a pause.
func (e *engine) Failed(src rawkafka.Partition, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.parts[src]
	if p == nil || e.draining || p.Stage() != source.Reading {
		return
	}
	p.Turn(source.Break)
	if !source.Suspicious(err) {
		p.failed, p.doubt = err, reading
	}
	e.lookAt(p, 0)
}
