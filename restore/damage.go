package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/kafkadr/kafkadr/storage"
)

// Kinds of conflicts of what can't be read.
const (
	kindDamaged    = "damaged"
	kindUnreadable = "unreadable" // the store refuses it: it may be whole
)

// unread is why a part of the archive can't be read.
type unread struct {
	kind, object string
	err          error
}

// unreadOf takes damage, and what the store refuses to give, for faults of their own; any other
// error ends a plan.
func unreadOf(err error) (unread, bool) {
	var damage *storage.DamageError
	var refused *storage.UnreadableError
	switch {
	case errors.As(err, &damage):
		return unread{kindDamaged, damage.Object, damage.Err}, true
	case errors.As(err, &refused):
		return unread{kindUnreadable, refused.Object, refused.Err}, true
	}
	return unread{}, false
}

func (f unread) String() string {
	if f.kind == kindUnreadable {
		return fmt.Sprintf("the store refuses to give object %s, which isn't known to be damaged: %v", f.object, f.err)
	}
	return fmt.Sprintf("object %s: %v", f.object, f.err)
}

// damagedRun is a run that can't be read, and why; or all that a lost part of the manifest held.
type damagedRun struct {
	base, end int64
	unread
}

// skips says whether a run is passed over: its offsets become a hole.
func (j *partitionJob) skips(r storage.Run) bool {
	return slices.ContainsFunc(j.damaged, func(d damagedRun) bool { return d.base == r.BaseOffset && d.end == r.EndOffset })
}

// skipsLost is skips for the error that runs have which the manifest lost.
func (j *partitionJob) skipsLost(err error) bool {
	r, ok := storage.LostRuns(err)
	return ok && j.skips(r)
}

// cursor reads the partition from an offset on, without the runs that are damaged.
func (j *partitionJob) cursor(ctx context.Context, s *storage.Snapshot, from int64) *storage.Cursor {
	return s.Cursor(ctx, j.state.Partition, j.state.History, from, j.state.EndOffset, storage.CursorOptions{Skip: j.skips})
}

// findDamage notes the runs that can't be read: by the manifest, by their indexes and the sizes of
// their objects, and, where all is read, by their batches. What a run holds behind a damaged frame
// isn't restored either: the frame may have held the marker that ends a transaction.
func (j *partitionJob) findDamage(ctx context.Context, s *storage.Snapshot, all bool) error {
	for r, err := range s.CheckRuns(ctx, j.state.Partition, j.state.History, j.start(), j.state.EndOffset) {
		lost, ok := storage.LostRuns(err)
		switch {
		case ok && (lost.BaseOffset >= j.state.EndOffset || j.start() >= j.state.EndOffset):
			continue
		case ok:
			r.Run = lost
		case err == nil:
			if err = r.Err; err == nil && all {
				err = j.readRun(ctx, s, r.Run)
			}
		}
		if err == nil {
			continue
		}
		f, ok := unreadOf(err)
		if !ok || f.object != r.Object {
			return err
		}
		j.damaged = append(j.damaged, damagedRun{r.BaseOffset, r.EndOffset, f})
	}
	return nil
}

// readRun reads and checks a run's batches.
func (j *partitionJob) readRun(ctx context.Context, s *storage.Snapshot, r storage.Run) error {
	c := s.Cursor(ctx, j.state.Partition, j.state.History, r.BaseOffset, r.EndOffset, storage.CursorOptions{})
	defer c.Close()
	for {
		b, _, err := c.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			if crc := b.CheckCRC(); crc != nil {
				err = &storage.DamageError{Object: r.Object, Partition: r.Partition, BaseOffset: b.BaseOffset(), EndOffset: b.EndOffset(), Err: crc}
			}
		}
		if err != nil {
			return err
		}
	}
}

// tellDamage names what can't be read: a conflict for each run, partition and part of the manifest,
// or what SkipDamaged leaves out.
func (p *planner) tellDamage() {
	for _, f := range p.lost {
		if !p.named {
			p.spoilt(clusterConflict(f.kind, "the snapshot may hold more topics: what its manifest says of them can't be read: %s", f))
		} else {
			p.warn("the snapshot may hold more topics than the ones that were named: what its manifest says of them can't be read: %s", f)
		}
	}
	for _, t := range p.topics {
		p.tellLost(t)
		for _, j := range t.partitions {
			for _, d := range j.damaged {
				base, end := max(d.base, j.start()), min(d.end, j.state.EndOffset)
				p.spoilt(j.conflict(base, d.kind, "offsets %d to %d can't be read: %s", base, end, d.unread))
			}
		}
	}
}

// tellLost names the partitions that a lost part of the manifest may have held.
func (p *planner) tellLost(t *topicJob) {
	if len(t.lost) == 0 {
		return
	}
	known := map[int32]bool{}
	for _, j := range t.partitions {
		known[j.state.Partition.Partition] = true
	}
	for n := range t.source.Partitions {
		if !known[n] {
			c := topicConflict(t.name, t.lost[0].kind, "nothing of the partition can be read, for want of what the manifest says of it: %s", t.lost[0])
			c.Partition = n
			p.spoilt(c)
		}
	}
}

// spoilt refuses what can't be read, or says that it is left out. What the store refuses to give
// isn't left out: it may be whole.
func (p *planner) spoilt(c Conflict) {
	if p.cfg.SkipDamaged && c.Kind == kindDamaged {
		p.warn("%s; that becomes a hole", c)
		return
	}
	p.refuse(c)
}
