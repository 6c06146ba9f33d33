package restore

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/kafkadr/kafkadr/storage"
)

// damagedRun is a run that can't be read, and why.
type damagedRun struct {
	base, end int64
	err       *storage.DamageError
}

// skips says whether a run is passed over: its offsets become a hole.
func (j *partitionJob) skips(r storage.Run) bool {
	return slices.ContainsFunc(j.damaged, func(d damagedRun) bool { return d.base == r.BaseOffset && d.end == r.EndOffset })
}

// cursor reads the partition from an offset on, without the runs that are damaged.
func (j *partitionJob) cursor(ctx context.Context, s *storage.Snapshot, from int64) *storage.Cursor {
	return s.Cursor(ctx, j.state.Partition, j.state.History, from, j.state.EndOffset, storage.CursorOptions{Skip: j.skips})
}

// findDamage notes the runs that can't be read: by their indexes and the sizes of their objects, and, where all is read, by their batches. What
// a run holds behind a damaged frame isn't restored either: the frame may have held the marker that ends a transaction. Damage of the manifest is an error.
func (j *partitionJob) findDamage(ctx context.Context, s *storage.Snapshot, all bool) error {
	for r, err := range s.CheckRuns(ctx, j.state.Partition, j.state.History, j.start(), j.state.EndOffset) {
		if err != nil {
			return err
		}
		if err = r.Err; err == nil && all {
			err = j.readRun(ctx, s, r.Run)
		}
		var damage *storage.DamageError
		if errors.As(err, &damage) && damage.Object == r.Object {
			j.damaged = append(j.damaged, damagedRun{base: r.BaseOffset, end: r.EndOffset, err: damage})
		} else if err != nil {
			return err
		}
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

// tellDamage names what can't be read: a conflict for each run, or what SkipDamaged leaves out.
func (p *planner) tellDamage() {
	for _, t := range p.topics {
		for _, j := range t.partitions {
			for _, d := range j.damaged {
				c := j.conflict(d.base, "damaged", "offsets %d to %d can't be read: object %s: %v", d.base, d.end, d.err.Object, d.err.Err)
				if p.cfg.SkipDamaged {
					p.warn("%s; they become a hole", c)
				} else {
					p.refuse(c)
				}
			}
		}
	}
}
