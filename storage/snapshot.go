package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/storage/internal/tree"
	"github.com/kafkadr/kafkadr/storage/internal/wire"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// Snapshot is a restore point, read on demand. Safe for concurrent use. Every byte it returns was checked against the manifest.
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
	var node *tree.DamageError
	var damage *DamageError
	switch {
	case errors.As(err, &damage):
		return damage
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
				yield(v, s.manifestError(err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// Topics yields every incarnation the snapshot knows (deleted ones included: Topic.Deleted), by topic ID.
func (s *Snapshot) Topics(ctx context.Context) iter.Seq2[Topic, error] {
	return items(ctx, s, []byte{'t'}, decodeTopic)
}

// Partitions yields the newest history of each partition of a topic, by partition.
func (s *Snapshot) Partitions(ctx context.Context, id kadm.TopicID) iter.Seq2[PartitionState, error] {
	return func(yield func(PartitionState, error) bool) {
		var last *state
		for st, err := range items(ctx, s, topicStatesKey(id), decodeState) {
			if err != nil {
				yield(PartitionState{}, err)
				return
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

// Histories yields all histories of a partition, oldest first.
func (s *Snapshot) Histories(ctx context.Context, p segment.Partition) iter.Seq2[PartitionState, error] {
	return func(yield func(PartitionState, error) bool) {
		for st, err := range items(ctx, s, partitionKey('p', p), decodeState) {
			if err != nil {
				yield(PartitionState{}, err)
				return
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
				yield(PartitionState{}, err)
				return false
			}
			st.Holes = append(st.Holes, h)
		}
	}
	return yield(st.PartitionState, nil)
}

// Runs yields the runs of a partition's history whose end is beyond from, by base offset.
func (s *Snapshot) Runs(ctx context.Context, p segment.Partition, history int32, from int64) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		prefix := runsKey(p, history)
		start := runKey(p, history, max(from, 0))
		if it, ok, err := s.tree.Floor(ctx, start); err != nil {
			yield(Run{}, s.manifestError(err))
			return
		} else if ok && len(it.Key) == len(start) && string(it.Key[:len(prefix)]) == string(prefix) {
			start = it.Key
		}
		for it, err := range s.tree.Scan(ctx, start, after(prefix)) {
			var r *storedRun
			if err == nil {
				r, err = decodeStoredRun(it.Key, it.Value)
			}
			if err != nil {
				yield(Run{}, s.manifestError(err))
				return
			}
			if r.EndOffset > from && !yield(s.run(r), nil) {
				return
			}
		}
	}
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
				yield(Object{}, err)
				return
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
