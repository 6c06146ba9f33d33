package backup

import (
	"context"
	"maps"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
)

// roll begins to close the open segment; nothing may be closing. What was
// found without a batch is durable at once where there is no segment. e.mu is
// held.
func (e *engine) roll() {
	states := make(map[*part]position, len(e.dirty))
	for p := range e.dirty {
		states[p] = p.now
	}
	clear(e.dirty)
	if e.open == nil {
		e.settle(states)
		return
	}
	s := e.open
	s.states = states
	e.open, e.closing = nil, s
	go func() {
		closed, err := s.seg.Close()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.closing = nil
		switch {
		case err != nil:
			e.breaks(err)
		default:
			if len(closed.Runs) > 0 {
				e.closed = append(e.closed, closed)
				e.counts.objects++
			}
			e.counts.records += s.records
			e.counts.bytes += s.bytes
			e.settle(s.states)
		}
		e.tell()
		e.poke()
	}()
}

// settle notes what is durable; e.mu is held.
func (e *engine) settle(states map[*part]position) {
	for p, at := range states {
		p.durable = at
		e.uncommitted[p] = struct{}{}
	}
}

// drain closes what is open and waits until it is durable; meanwhile nobody
// else rolls. It returns the store's error, if there is one: then
// [engine.rollback] is due. e.mu is held.
func (e *engine) drain(ctx context.Context) error {
	e.draining = true
	defer func() {
		e.draining = false
		e.tell()
	}()
	for e.closing != nil {
		if err := e.wait(ctx); err != nil {
			return err
		}
	}
	if e.broken == nil {
		e.roll()
	}
	for e.closing != nil {
		if err := e.wait(ctx); err != nil {
			return err
		}
	}
	return e.broken
}

// rollback drops what isn't durable and reads it again.
func (e *engine) rollback(ctx context.Context) error {
	e.mu.Lock()
	for e.closing != nil {
		if err := e.wait(ctx); err != nil {
			e.mu.Unlock()
			return err
		}
	}
	if e.open != nil {
		e.open.seg.Abort()
		e.open = nil
	}
	var again []rawkafka.Partition
	for p := range maps.Keys(e.dirtyOrAhead()) {
		p.now = p.durable
		p.Turn(source.Rewind)
		again = append(again, p.Partition)
	}
	clear(e.dirty)
	e.broken = nil
	e.tell()
	e.mu.Unlock()
	e.reader.Steer(again...)
	return nil
}

// dirtyOrAhead are the partitions whose position is ahead of what is durable.
func (e *engine) dirtyOrAhead() map[*part]struct{} {
	ahead := make(map[*part]struct{})
	for _, p := range e.parts {
		if !p.now.equal(&p.durable) {
			ahead[p] = struct{}{}
		}
	}
	return ahead
}

func (p *part) gone() bool { return p.Stage() == source.Dropped }

// abandon ends what is under way, for good.
func (e *engine) abandon() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.closing != nil { // its context has ended
		_ = e.wait(context.Background())
	}
	if e.open != nil {
		e.open.seg.Abort()
		e.open = nil
	}
}
