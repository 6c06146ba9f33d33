package backup

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// manifest walks topics, histories and runs, and explains the offsets between runs.
func (v *verifier) manifest(ctx context.Context) error {
	for t, err := range v.s.Topics(ctx) {
		if err != nil {
			if err := v.damaged(err, problemManifest, ""); err != nil {
				return err
			}
			continue
		}
		v.names[t.ID] = t.Name
		if err := v.topic(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) topic(ctx context.Context, t storage.Topic) error {
	for p, err := range v.s.Partitions(ctx, t.ID) {
		if err != nil {
			if err := v.damaged(err, problemManifest, ""); err != nil {
				return err
			}
			continue
		}
		for h, err := range v.s.Histories(ctx, p.Partition) {
			if err == nil {
				err = v.history(ctx, t, h)
			}
			if err := v.damaged(err, problemManifest, ""); err != nil {
				return err
			}
		}
	}
	return nil
}

// history checks that runs and holes cover the history, in order.
func (v *verifier) history(ctx context.Context, t storage.Topic, h storage.PartitionState) error {
	holes := make([]storage.Range, 0, len(h.Holes))
	for _, hole := range h.Holes {
		holes = append(holes, hole.Range)
	}
	v.holes[h.Partition] = append(v.holes[h.Partition], holes)
	unexplained := func(base, end int64) {
		if gap, ok := uncovered(holes, base, end); ok {
			v.problem(Problem{
				Kind: problemUnexplained, Topic: t.Name, Partition: h.Partition.Partition, BaseOffset: gap.BaseOffset, EndOffset: gap.EndOffset,
				Detail: fmt.Sprintf("history %d has no run and no hole for the offsets", h.History),
			})
		}
	}
	position := h.StartOffset
	for r, err := range v.s.Runs(ctx, h.Partition, h.History, 0) {
		if lost, ok := storage.LostRuns(err); ok {
			err, position = v.damaged(clip(err, h), problemManifest, ""), max(position, min(lost.EndOffset, h.EndOffset))
			if err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		v.wanted[r.Object] = append(v.wanted[r.Object], digestOf(r.RunInfo))
		if r.EndOffset <= h.StartOffset {
			continue
		}
		unexplained(position, min(r.BaseOffset, h.EndOffset))
		position = max(position, r.EndOffset)
	}
	unexplained(position, h.EndOffset)
	return nil
}

// clip leaves of what an error of runs costs the offsets of the history.
func clip(err error, h storage.PartitionState) error {
	var damage *storage.DamageError
	var refused *storage.UnreadableError
	switch {
	case errors.As(err, &damage):
		e := *damage
		e.BaseOffset, e.EndOffset = max(e.BaseOffset, h.StartOffset), min(e.EndOffset, h.EndOffset)
		return &e
	case errors.As(err, &refused):
		e := *refused
		e.BaseOffset, e.EndOffset = max(e.BaseOffset, h.StartOffset), min(e.EndOffset, h.EndOffset)
		return &e
	}
	return err
}

// uncovered is the first range of [base, end) that no hole covers.
func uncovered(holes []storage.Range, base, end int64) (storage.Range, bool) {
	for _, h := range holes {
		if base >= end || h.BaseOffset > base {
			end = min(end, max(h.BaseOffset, base))
			break
		}
		base = max(base, h.EndOffset)
	}
	return storage.Range{BaseOffset: base, EndOffset: end}, base < end
}

// digestOf is a run's facts in short, its index's digest among them.
func digestOf(r segment.RunInfo) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(r.Topic[:]) // never fails
	_ = binary.Write(h, binary.BigEndian, []int64{
		int64(r.Partition.Partition), r.BaseOffset, r.EndOffset, r.Records, r.Bytes, r.Missing, r.HoleRuns,
		r.MinTimestamp, r.MaxTimestamp, int64(r.LeaderEpoch), int64(r.MaxBatch), r.Block.Position, int64(r.Block.Length),
	})
	_, _ = h.Write(r.Block.SHA256[:])
	return h.Sum64()
}

// ignoreLost passes over what manifest has told already. What comes with such an error is empty.
func ignoreLost(err error) error {
	var damage *storage.DamageError
	var refused *storage.UnreadableError
	if errors.As(err, &damage) || errors.As(err, &refused) {
		return nil
	}
	return err
}

// name reports the objects that can't be read, by the runs that lie in them.
func (v *verifier) name(ctx context.Context) error {
	if len(v.bad) == 0 {
		return nil
	}
	named := map[string]bool{}
	defer func() {
		for _, key := range slices.Sorted(maps.Keys(v.bad)) {
			if !named[key] {
				v.problem(v.bad[key])
			}
		}
	}()
	for t, err := range v.s.Topics(ctx) {
		if err := ignoreLost(err); err != nil {
			return err
		}
		if err := v.nameTopic(ctx, t, named); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) nameTopic(ctx context.Context, t storage.Topic, named map[string]bool) error {
	for p, err := range v.s.Partitions(ctx, t.ID) {
		if err := ignoreLost(err); err != nil {
			return err
		}
		for h := range p.History + 1 {
			for r, err := range v.s.Runs(ctx, p.Partition, h, 0) {
				if err := ignoreLost(err); err != nil {
					return err
				}
				if problem, ok := v.bad[r.Object]; ok {
					problem.Topic, problem.Partition, problem.BaseOffset, problem.EndOffset = t.Name, p.Partition.Partition, r.BaseOffset, r.EndOffset
					v.problem(problem)
					named[r.Object] = true
				}
			}
		}
	}
	return nil
}
