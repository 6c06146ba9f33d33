package backup

import (
	"context"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/storage"
)

// full is what a full snapshot holds beside data.
type full struct {
	at      time.Time
	groups  []storage.Group
	cluster *storage.Cluster
}

// commit makes what was read durable and names it in a manifest: a flush, or a
// full snapshot. A flush without news is none (a zero Info). An error of the
// store leaves everything as it was.
func (e *engine) commit(ctx context.Context, f *full, incomplete bool) (storage.Info, error) {
	e.mu.Lock()
	if err := e.drain(ctx); err != nil {
		e.mu.Unlock()
		return storage.Info{}, err
	}
	if f != nil {
		e.moveStarts()
	}
	change, done := e.change(f, incomplete)
	e.mu.Unlock()
	if f == nil && len(change.Segments) == 0 && len(change.Partitions) == 0 && len(change.Topics) == 0 {
		return storage.Info{}, nil
	}
	info, err := e.w.Commit(ctx, change)
	if err != nil {
		e.mu.Lock()
		e.counts.errors++
		e.mu.Unlock()
		return storage.Info{}, err
	}
	e.mu.Lock()
	done(info)
	e.mu.Unlock()
	return info, nil
}

// change lists what isn't committed, and how to note that it is; e.mu is held,
// there and then.
func (e *engine) change(f *full, incomplete bool) (storage.Change, func(storage.Info)) {
	c := storage.Change{CreatedAt: time.Now(), Flush: f == nil, Incomplete: incomplete || e.faulted(), Segments: slices.Clone(e.closed)}
	if f != nil {
		c.CreatedAt, c.Groups, c.Cluster = f.at, f.groups, f.cluster
	}
	named := make(map[*part]position)
	faults := make(map[*part]string)
	for _, p := range e.parts {
		_, news := e.uncommitted[p]
		if fault := p.faultText(); news || fault != p.committedFault {
			named[p], faults[p] = p.durable, fault
			at := p.durable
			c.Partitions = append(append(c.Partitions, p.ended...), at.state(p.key, fault))
		}
	}
	var topics []*topic
	for _, t := range e.topics {
		if t.changed {
			topics = append(topics, t)
			c.Topics = append(c.Topics, t.Topic)
		}
	}
	return c, func(info storage.Info) {
		for p, at := range named {
			p.committed, p.committedFault, p.ended = at, faults[p], nil
			if p.durable.equal(&at) {
				delete(e.uncommitted, p)
			}
		}
		for _, t := range topics {
			t.changed = false
		}
		e.closed = slices.Delete(e.closed, 0, len(c.Segments))
		e.last.any = info
		if !info.Flush {
			e.last.full = info
		}
		e.tell()
	}
}

// faulted says whether a partition can't be read; e.mu is held.
func (e *engine) faulted() bool {
	for _, p := range e.parts {
		if p.fault != nil && !p.gone() {
			return true
		}
	}
	return false
}

// moveStarts takes the log starts over; nothing is closing, e.mu is held.
func (e *engine) moveStarts() {
	for _, p := range e.parts {
		if start := min(p.logStart, p.durable.offset); p.known && start > p.durable.start {
			p.now.start, p.durable.start = start, start
			e.uncommitted[p] = struct{}{}
		}
	}
}
