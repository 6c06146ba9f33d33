package storage

import (
	"context"
	"fmt"
)

// SweepOptions are the settings of a Sweep.
type SweepOptions struct {
	// DryRun only counts. It claims nothing, so what a live writer is about to name counts as well.
	DryRun bool
	// Owner names the sweep in the errors of the writers it fences. Default: host name and process ID.
	Owner string
}

// SweepResult is what a Sweep removed, or would remove.
type SweepResult struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// Sweep removes the segments of a lineage that no commit names: leavings of writers that died, or were fenced. It claims a generation first,
// as a writer does, so every older writer is fenced and can't name what is removed; what newer ones write stays. A lineage
// that the archive doesn't hold is left so.
func (a *Archive) Sweep(ctx context.Context, l Lineage, o SweepOptions) (*SweepResult, error) {
	named, generation, err := a.sweepable(ctx, l, o)
	if err != nil {
		return nil, fmt.Errorf("storage: sweep: %w", err)
	}
	res := &SweepResult{}
	for obj, err := range a.list(ctx, l.segmentPrefix(), "") {
		if err != nil {
			return res, fmt.Errorf("storage: sweep: %w", err)
		}
		gen, _, ok := l.parseSegmentKey(obj.Key)
		if !ok || gen >= generation || named[obj.Key] {
			continue
		}
		if !o.DryRun {
			if err := a.remove(ctx, obj.Key); err != nil {
				return res, fmt.Errorf("storage: sweep: %w", err)
			}
		}
		res.Objects++
		res.Bytes += obj.Size
	}
	return res, nil
}

// sweepable returns the segments that commits name, and the generation below which others may go.
func (a *Archive) sweepable(ctx context.Context, l Lineage, o SweepOptions) (map[string]bool, int64, error) {
	if err := l.validate(); err != nil {
		return nil, 0, err
	}
	head, err := a.head(ctx, l)
	if err != nil || head == nil {
		return nil, 0, err
	}
	if o.DryRun {
		e, err := a.commitAt(ctx, l, head, false)
		if err != nil {
			return nil, 0, err
		}
		named, err := a.named(ctx, l, e)
		return named, head.Sequence + 1, err
	}
	w, err := a.NewWriter(ctx, l, WriterConfig{Kind: "sweep", Owner: o.Owner})
	if err != nil {
		return nil, 0, err
	}
	named, err := a.named(ctx, l, w.base)
	return named, w.generation, err
}

// named are the segments that the commit or any one before it names: objects stay in the manifest when their last run leaves it.
func (a *Archive) named(ctx context.Context, l Lineage, e *entry) (map[string]bool, error) {
	named := map[string]bool{}
	if e == nil {
		return named, nil
	}
	s := a.snapshot(l, e)
	for o, err := range items(ctx, s, []byte{'o'}, s.decodeObject) {
		if err != nil {
			return nil, err
		}
		named[o.Key] = true
	}
	return named, nil
}

func (a *Archive) remove(ctx context.Context, key string) error {
	err := a.retry(ctx, "delete", key, func(ctx context.Context) error {
		err := a.b.Delete(ctx, key)
		a.operation("delete", key, 0, err)
		return err
	})
	if isNotFound(err) {
		return nil
	}
	return err
}
