package storage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/storage/internal/tree"
	"github.com/kafkadr/kafkadr/storage/internal/wire"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// Snapshot is a restore point, read on demand. Safe for concurrent use. Every byte it returns was
// checked against the manifest.
//
// A damaged part of the manifest costs what it held: the sequences of topics, partitions, runs,
// groups and objects have a *[DamageError] in its place (an *[UnreadableError] where the store
// refuses it), and go on behind it. Who stops at errors has none of what might be incomplete.
type Snapshot struct {
	a    *Archive
	l    Lineage
	info Info
	tree *tree.Tree
}

func (a *Archive) snapshot(l Lineage, e *entry) *Snapshot {
	return &Snapshot{a: a, l: l, info: e.Info, tree: tree.At(a.loadNode(l), e.Root)}
}

// Info is the snapshot's summary.
func (s *Snapshot) Info() Info { return s.info }

// scan yields the manifest's items whose keys begin with prefix.
func (s *Snapshot) scan(ctx context.Context, prefix []byte) iter.Seq2[tree.Item, error] {
	return s.tree.Scan(ctx, prefix, after(prefix))
}

// manifestError names the object that a manifest's error is of.
func (s *Snapshot) manifestError(err error) error {
	if err == nil {
		return nil
	}
	var node *tree.DamageError
	var damage *DamageError
	var refused *UnreadableError
	switch {
	case errors.As(err, &damage):
		return damage
	case errors.As(err, &refused):
		return refused
	case errors.As(err, &node):
		return &DamageError{Object: s.l.logKey(node.Ref.Entry), Err: err}
	case errors.Is(err, wire.ErrMalformed):
		return &DamageError{Object: s.l.logKey(s.info.Sequence), Err: err}
	}
	return fmt.Errorf("storage: snapshot %s: %w", s.info.ID, err)
}

// items decodes what scan yields.
func items[T any](ctx context.Context, s *Snapshot, prefix []byte, decode func(key, value []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for it, err := range s.scan(ctx, prefix) {
			var v T
			if err == nil {
				v, err = decode(it.Key, it.Value)
			}
			if err != nil {
				err = s.manifestError(err)
			}
			if !yield(v, err) {
				return
			}
		}
	}
}

// Topics yields every incarnation the snapshot knows (deleted ones included: Topic.Deleted), by
// topic ID.
func (s *Snapshot) Topics(ctx context.Context) iter.Seq2[Topic, error] {
	return items(ctx, s, []byte{'t'}, decodeTopic)
}

// Partitions yields the newest history of each partition of a topic, by partition. A partition
// whose newest history may be lost isn't yielded.
func (s *Snapshot) Partitions(ctx context.Context, id kadm.TopicID) iter.Seq2[PartitionState, error] {
	return func(yield func(PartitionState, error) bool) {
		var last *state
		for it, err := range s.scan(ctx, topicStatesKey(id)) {
			var st *state
			if err == nil {
				st, err = decodeState(it.Key, it.Value)
			}
			if err != nil {
				if last != nil && beginsBehind(err, last.Partition) && !s.yieldState(ctx, last, yield) {
					return
				}
				if last = nil; !yield(PartitionState{}, s.manifestError(err)) {
					return
				}
				continue
			}
			if last != nil && last.Partition != st.Partition && !s.yieldState(ctx, last, yield) {
				return
			}
			last = st
		}
		if last != nil {
			s.yieldState(ctx, last, yield)
		}
	}
}

// beginsBehind says of a lost part of the manifest that it begins behind all histories of a
// partition.
func beginsBehind(err error, p segment.Partition) bool {
	var lost *tree.LostError
	return errors.As(err, &lost) && bytes.Compare(lost.Low, after(partitionKey('p', p))) >= 0
}

// Histories yields all histories of a partition, oldest first.
func (s *Snapshot) Histories(ctx context.Context, p segment.Partition) iter.Seq2[PartitionState, error] {
	return func(yield func(PartitionState, error) bool) {
		for st, err := range items(ctx, s, partitionKey('p', p), decodeState) {
			if err != nil {
				if !yield(PartitionState{}, err) {
					return
				}
				continue
			}
			if !s.yieldState(ctx, st, yield) {
				return
			}
		}
	}
}

// yieldState adds the holes.
func (s *Snapshot) yieldState(ctx context.Context, st *state, yield func(PartitionState, error) bool) bool {
	if st.HoleCount > 0 {
		for h, err := range items(ctx, s, holesKey(st.Partition, st.History), decodeHole) {
			if err != nil {
				return yield(PartitionState{}, err)
			}
			st.Holes = append(st.Holes, h)
		}
	}
	return yield(st.PartitionState, nil)
}

// Runs yields the runs of a partition's history whose end is beyond from, by base offset. For runs
// that are lost with a part of the manifest there is an error that has their partition and offsets:
// from the base of the first, or 0, to the base of the next that is there, or the end of all
// offsets.
func (s *Snapshot) Runs(ctx context.Context, p segment.Partition, history int32, from int64) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		prefix := runsKey(p, history)
		start := runKey(p, history, max(from, 0))
		if it, ok, err := s.tree.Floor(ctx, start); err != nil {
			start = prefix // the scan tells the error in its place
		} else if ok && len(it.Key) == len(start) && string(it.Key[:len(prefix)]) == string(prefix) {
			start = it.Key
		}
		for it, err := range s.tree.Scan(ctx, start, after(prefix)) {
			var r *storedRun
			if err == nil {
				r, err = decodeStoredRun(it.Key, it.Value)
			}
			if err != nil {
				all := len(it.Key) > 0 // a run that nobody could have written: where it ends isn't known
				if err = s.lostRuns(p, history, from, err); err != nil && !yield(Run{}, err) || all {
					return
				}
				continue
			}
			if r.EndOffset > from && !yield(s.run(r), nil) {
				return
			}
		}
	}
}

// lostRuns gives an error of the manifest the offsets of the runs that it costs; nil where they end
// at from or before.
func (s *Snapshot) lostRuns(p segment.Partition, history int32, from int64, err error) error {
	base, end := int64(0), int64(math.MaxInt64)
	var lost *tree.LostError
	if errors.As(err, &lost) {
		base, end = baseOf(lost.Low, runsKey(p, history), base), baseOf(lost.High, runsKey(p, history), end)
	}
	var damage *DamageError
	var refused *UnreadableError
	switch err = s.manifestError(err); {
	case end <= from:
		return nil
	case errors.As(err, &damage):
		return &DamageError{Object: damage.Object, Partition: p, BaseOffset: base, EndOffset: end, Err: damage.Err}
	case errors.As(err, &refused):
		return &UnreadableError{Object: refused.Object, Partition: p, BaseOffset: base, EndOffset: end, Err: refused.Err}
	}
	return err
}

// baseOf is the offset in the key of a run whose key has the prefix, or other.
func baseOf(key, prefix []byte, other int64) int64 {
	if rest, ok := bytes.CutPrefix(key, prefix); ok && len(rest) == 8 {
		return int64(binary.BigEndian.Uint64(rest))
	}
	return other
}

// isLost says of a manifest's error that a part of it is damaged, or refused by the store.
func isLost(err error) bool {
	var damage *DamageError
	var refused *UnreadableError
	return errors.As(err, &damage) || errors.As(err, &refused)
}

// LostRuns is what an error that a sequence of runs has costs, as one run: its partition, offsets
// and the object that can't be read. ok is false where the error says no offsets.
func LostRuns(err error) (r Run, ok bool) {
	var damage *DamageError
	var refused *UnreadableError
	switch {
	case errors.As(err, &damage):
		r = Run{RunInfo: segment.RunInfo{Partition: damage.Partition, BaseOffset: damage.BaseOffset, EndOffset: damage.EndOffset}, Object: damage.Object}
	case errors.As(err, &refused):
		r = Run{RunInfo: segment.RunInfo{Partition: refused.Partition, BaseOffset: refused.BaseOffset, EndOffset: refused.EndOffset}, Object: refused.Object}
	}
	return r, r.EndOffset > r.BaseOffset
}

func (s *Snapshot) run(r *storedRun) Run {
	return Run{RunInfo: r.RunInfo, History: r.History, Object: s.l.segmentKey(r.Generation, r.Number)}
}

// Groups yields the consumer groups by name.
func (s *Snapshot) Groups(ctx context.Context) iter.Seq2[Group, error] {
	return items(ctx, s, []byte{'g'}, decodeGroup)
}

// Cluster returns what the snapshot holds of the cluster itself.
func (s *Snapshot) Cluster(ctx context.Context) (Cluster, error) {
	raw, ok, err := s.tree.Get(ctx, clusterKey())
	if err != nil {
		return Cluster{}, s.manifestError(err)
	}
	if !ok {
		return Cluster{}, nil
	}
	c, err := decodeCluster(raw)
	if err != nil {
		return Cluster{}, s.manifestError(err)
	}
	return c, nil
}

// Objects yields the segments that the snapshot names.
func (s *Snapshot) Objects(ctx context.Context) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for o, err := range items(ctx, s, []byte{'o'}, s.decodeObject) {
			if err != nil {
				if !yield(Object{}, err) {
					return
				}
				continue
			}
			if o.Runs > 0 && !yield(o.Object, nil) {
				return
			}
		}
	}
}

type namedObject struct {
	Object
	Runs int64
}

func (s *Snapshot) decodeObject(key, value []byte) (namedObject, error) {
	generation, number, err := decodeObjectKey(key)
	if err != nil {
		return namedObject{}, err
	}
	o, err := decodeObject(value)
	return namedObject{Object{Key: s.l.segmentKey(generation, number), Size: o.Size}, o.Runs}, err
}

func decodeSummary(l Lineage, key, value []byte) (Info, error) {
	d := wire.NewDecoder(value)
	info := decodeInfo(d)
	info.ID, info.ClusterID = d.String(), l.ClusterID
	if len(key) != 9 {
		d.Fail("summary's key")
	} else {
		info.Sequence = int64(binary.BigEndian.Uint64(key[1:]))
	}
	return info, d.Done()
}

func encodeSummary(info Info) []byte {
	var e wire.Encoder
	encodeInfo(&e, info)
	e.String(info.ID)
	return e.B
}
