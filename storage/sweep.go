package storage

import (
	"context"
	"fmt"
	"iter"

	"gocloud.dev/blob"
)

// SweepOptions are the settings of a Sweep.
type SweepOptions struct {
	// DryRun only counts. It claims nothing, so what a live writer is about to name counts as well.
	DryRun bool
	// Owner names the sweep in the errors of the writers it fences. Default: host name and process
	// ID.
	Owner string
}

// SweepResult is what a Sweep removed, or would remove.
type SweepResult struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Refused objects, and their bytes, are still there: the store wouldn't remove them, for want
	// of rights, or because a retention policy or lock holds them. The next Sweep tries again.
	Refused      int64 `json:"refused"`
	RefusedBytes int64 `json:"refused_bytes"`
}

func (r *SweepResult) count(o *blob.ListObject, refused bool) {
	if refused {
		r.Refused++
		r.RefusedBytes += o.Size
		return
	}
	r.Objects++
	r.Bytes += o.Size
}

// Sweep removes the segments of a lineage that no commit names: leavings of writers that died, or
// were fenced. It claims a generation first, as a writer does, so every older writer is fenced and
// can't name what is removed; what newer ones write stays. It removes as well the witnesses of full
// snapshots whose entries were lost, once a later full one was taken: until then VerifyChain
// reports the loss. What the store refuses to remove is counted. A lineage that the archive doesn't
// hold is left so.
func (a *Archive) Sweep(ctx context.Context, l Lineage, o SweepOptions) (*SweepResult, error) {
	base, generation, err := a.sweepable(ctx, l, o)
	if err != nil {
		return nil, fmt.Errorf("storage: sweep: %w", err)
	}
	res := &SweepResult{}
	for _, orphans := range []iter.Seq2[*blob.ListObject, error]{a.unnamed(ctx, l, base, generation), a.overtaken(ctx, l, base)} {
		for obj, err := range orphans {
			refused := false
			if err == nil && !o.DryRun {
				refused, err = a.remove(ctx, obj.Key)
			}
			if err != nil {
				return res, fmt.Errorf("storage: sweep: %w", err)
			}
			res.count(obj, refused)
		}
	}
	return res, nil
}

// sweepable returns the newest commit, and the generation below which segments may go.
func (a *Archive) sweepable(ctx context.Context, l Lineage, o SweepOptions) (*entry, int64, error) {
	if err := l.validate(); err != nil {
		return nil, 0, err
	}
	head, err := a.head(ctx, l)
	if err != nil || head == nil {
		return nil, 0, err
	}
	if o.DryRun {
		e, err := a.commitAt(ctx, l, head, false)
		return e, head.Sequence + 1, err
	}
	w, err := a.NewWriter(ctx, l, WriterConfig{Kind: "sweep", Owner: o.Owner})
	if err != nil {
		return nil, 0, err
	}
	return w.base, w.generation, nil
}

// unnamed yields the segments of older generations that no commit up to e names: objects stay in
// the manifest when their last run leaves it.
func (a *Archive) unnamed(ctx context.Context, l Lineage, e *entry, generation int64) iter.Seq2[*blob.ListObject, error] {
	return func(yield func(*blob.ListObject, error) bool) {
		n := &namer{}
		if e != nil {
			n.s = a.snapshot(l, e)
			n.next, n.stop = iter.Pull2(items(ctx, n.s, []byte{'o'}, n.s.decodeObject))
			defer n.stop()
		}
		for obj, err := range a.list(ctx, l.segmentPrefix(), "") {
			if err == nil {
				gen, number, ok := l.parseSegmentKey(obj.Key)
				if !ok || gen >= generation {
					continue
				}
				var named bool
				if named, err = n.names(ctx, gen, number); named && err == nil {
					continue
				}
			}
			if !yield(obj, err) || err != nil {
				return
			}
		}
	}
}

// namer says of segments, asked for in the order of keys, whether a manifest names them.
type namer struct {
	s    *Snapshot // nil where there is no commit
	next func() (namedObject, error, bool)
	stop func()
	at   string
	end  bool
}

func (n *namer) names(ctx context.Context, generation, number int64) (bool, error) {
	if n.s == nil {
		return false, nil
	}
	for key := n.s.l.segmentKey(generation, number); !n.end && n.at <= key; {
		if n.at == key {
			return true, nil
		}
		o, err, ok := n.next()
		if err != nil {
			return false, err
		}
		n.at, n.end = o.Key, !ok
	}
	// A store may list in another order: what is to be removed is looked up by itself.
	_, ok, err := n.s.tree.Get(ctx, objectKey(generation, number))
	if err != nil {
		return false, n.s.manifestError(err)
	}
	return ok, nil
}

// remove deletes an object, or says that the store refuses.
func (a *Archive) remove(ctx context.Context, key string) (refused bool, err error) {
	p := a.policy(ctx, "delete", key)
	p.Must = true
	p.Proof = func(ctx context.Context) error { return a.proveAbsent(ctx, key) }
	p.Final = func(err error) bool { return final(err) || p.Refused(err) }
	err = a.do(ctx, "delete", key, p, func(ctx context.Context) error {
		err := a.b.Delete(ctx, key)
		a.operation("delete", key, 0, err)
		return err
	})
	switch {
	case err != nil && p.Refused(err):
		a.log.WarnContext(ctx, "the store refuses to remove an object", "key", key, "err", err)
		return true, nil
	case isAbsent(err):
		return false, nil
	}
	return false, err
}
