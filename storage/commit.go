package storage

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/storage/internal/tree"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// builder adds one Change to a manifest.
type builder struct {
	w        *Writer
	base     *Snapshot
	t        *tree.Tree
	sequence int64
	// live says which topics are known, and whether they live.
	live map[kadm.TopicID]bool
	info Info
}

func newBuilder(w *Writer, sequence int64) *builder {
	base := w.Snapshot()
	var root tree.Ref
	if base == nil {
		base = &Snapshot{a: w.a, l: w.l, info: Info{Sequence: sequence}}
	} else {
		root = w.base.Root
	}
	return &builder{
		w: w, base: base, t: tree.At(w.a.loadNode(w.l), root), sequence: sequence,
		live: map[kadm.TopicID]bool{}, info: base.info,
	}
}

// build returns header and nodes of the entry's object, and completes its record.
func (b *builder) build(ctx context.Context, c *Change, r *record) ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	for _, t := range c.Topics {
		if err := b.topic(ctx, t); err != nil {
			return nil, err
		}
	}
	if err := b.partitions(ctx, c); err != nil {
		return nil, err
	}
	if err := b.metadata(ctx, c); err != nil {
		return nil, err
	}
	b.info.ID, b.info.ClusterID, b.info.Sequence = snapshotID(r.Sequence, r.Nonce), r.ClusterID, r.Sequence
	b.info.CreatedAt, b.info.Flush, b.info.Complete = c.CreatedAt.UTC(), c.Flush, !c.Incomplete
	if !c.Flush {
		if err := b.t.Set(ctx, summaryKey(r.Sequence), encodeSummary(b.info)); err != nil {
			return nil, err
		}
	}
	object := []byte(entryHeader)
	root, err := b.t.Write(func(raw []byte) (tree.Ref, error) {
		ref := tree.Ref{Entry: r.Sequence, Position: int64(len(object))}
		object = append(object, raw...)
		return ref, nil
	})
	if b.info.Complete {
		r.Complete = entryRef{Sequence: r.Sequence}
	}
	r.Info, r.Root = b.info, root
	return object, err
}

func (c *Change) validate() error {
	switch {
	case c.CreatedAt.IsZero():
		return &ChangeError{Reason: "CreatedAt is missing"}
	case c.CreatedAt.Year() < 1 || c.CreatedAt.Year() > 9999:
		return &ChangeError{Reason: "CreatedAt is out of range"}
	case c.Flush && (c.Groups != nil || c.Cluster != nil):
		return &ChangeError{Reason: "a flush has no groups and no cluster data"}
	}
	for _, g := range c.Groups {
		if len(g.Name) > 1<<16 {
			return &ChangeError{Reason: "a group's name is too long"}
		}
	}
	for _, t := range c.Topics {
		if t.ID == (kadm.TopicID{}) || t.Name == "" || !utf8.ValidString(t.Name) {
			return &ChangeError{Reason: fmt.Sprintf("topic %q with ID %v", t.Name, t.ID)}
		}
	}
	return nil
}

// topic stores a topic and counts those that live, with all they hold.
func (b *builder) topic(ctx context.Context, t Topic) error {
	was, known, err := b.known(ctx, t.ID)
	if err != nil {
		return err
	}
	now := t.Deleted.IsZero()
	b.live[t.ID] = now
	if known && was != now {
		if err := b.countTopic(ctx, t.ID, now); err != nil {
			return err
		}
	}
	if was != now {
		b.info.Topics += sign(now)
	}
	return b.t.Set(ctx, topicKey(t.ID), encodeTopic(t))
}

// known says whether a topic lives, and whether it is known.
func (b *builder) known(ctx context.Context, id kadm.TopicID) (live, known bool, err error) {
	if live, known = b.live[id]; known {
		return live, true, nil
	}
	raw, known, err := b.t.Get(ctx, topicKey(id))
	if err != nil || !known {
		return false, false, err
	}
	t, err := decodeTopic(topicKey(id), raw)
	b.live[id] = t.Deleted.IsZero()
	return b.live[id], true, err
}

// countTopic adds or takes away what a topic's partitions hold: when it is deleted, or found alive.
func (b *builder) countTopic(ctx context.Context, id kadm.TopicID, add bool) error {
	var last *state
	count := func() {
		if last != nil {
			b.info.Partitions += sign(add)
			b.info.Records += int64(sign(add)) * last.Records
			b.info.Bytes += int64(sign(add)) * last.Bytes
		}
	}
	prefix := topicStatesKey(id)
	for it, err := range b.t.Scan(ctx, prefix, after(prefix)) {
		if err != nil {
			return err
		}
		st, err := decodeState(it.Key, it.Value)
		if err != nil {
			return err
		}
		if last != nil && last.Partition != st.Partition {
			count()
		}
		last = st
	}
	count()
	return nil
}

func sign(add bool) int {
	if add {
		return 1
	}
	return -1
}

// metadata replaces groups and the cluster's data.
func (b *builder) metadata(ctx context.Context, c *Change) error {
	if c.Cluster != nil {
		if err := b.t.Set(ctx, clusterKey(), encodeCluster(c.Cluster)); err != nil {
			return err
		}
	}
	if c.Groups == nil {
		return nil
	}
	keep := make(map[string]bool, len(c.Groups))
	for _, g := range c.Groups {
		keep[g.Name] = true
	}
	var gone [][]byte
	for it, err := range b.t.Scan(ctx, []byte{'g'}, after([]byte{'g'})) {
		if err != nil {
			return err
		}
		if !keep[string(it.Key[1:])] {
			gone = append(gone, bytes.Clone(it.Key))
		}
	}
	for _, key := range gone {
		if err := b.t.Delete(ctx, key); err != nil {
			return err
		}
	}
	for _, g := range c.Groups {
		if err := b.t.Set(ctx, groupKey(g.Name), encodeGroup(g)); err != nil {
			return err
		}
	}
	return nil
}

// segments names the closed segments and returns their runs by partition, in offset order.
func (b *builder) segments(ctx context.Context, closed []*Closed) (map[segment.Partition][]*storedRun, error) {
	runs := map[segment.Partition][]*storedRun{}
	for _, c := range closed {
		if c == nil || len(c.Runs) == 0 {
			continue
		}
		generation, number, ok := b.w.l.parseSegmentKey(c.Object.Key)
		if !ok || generation != b.w.generation {
			return nil, &ChangeError{Reason: "segment " + c.Object.Key + " is another writer's"}
		}
		key := objectKey(generation, number)
		if _, named, err := b.t.Get(ctx, key); err != nil {
			return nil, err
		} else if named {
			continue
		}
		o := storedObject{Size: c.Object.Size, Runs: int64(len(c.Runs))}
		if err := b.t.Set(ctx, key, o.encode()); err != nil {
			return nil, err
		}
		for _, r := range c.Runs {
			runs[r.Partition] = append(runs[r.Partition], &storedRun{RunInfo: r, Generation: generation, Number: number})
		}
	}
	for _, rs := range runs {
		slices.SortFunc(rs, func(x, y *storedRun) int { return cmp.Compare(x.BaseOffset, y.BaseOffset) })
	}
	return runs, nil
}

// partitions stores states and runs.
func (b *builder) partitions(ctx context.Context, c *Change) error {
	runs, err := b.segments(ctx, c.Segments)
	if err != nil {
		return err
	}
	states := slices.Clone(c.Partitions)
	slices.SortFunc(states, comparePlaces)
	for i, p := range states {
		newest := true
		if i+1 < len(states) && states[i+1].Partition == p.Partition {
			if newest = false; states[i+1].History == p.History {
				return &ChangeError{Partition: p.Partition, Reason: "its history is named twice"}
			}
		}
		var rs []*storedRun
		if newest {
			rs = runs[p.Partition]
			delete(runs, p.Partition)
		}
		if err := b.partition(ctx, p, rs); err != nil {
			return err
		}
	}
	for p, rs := range runs {
		return &ChangeError{Partition: p, Offset: rs[0].BaseOffset, Reason: "a run of a partition that the change doesn't name"}
	}
	return nil
}

func comparePlaces(x, y PartitionState) int {
	return cmp.Or(bytes.Compare(x.Topic[:], y.Topic[:]), cmp.Compare(x.Partition.Partition, y.Partition.Partition), cmp.Compare(x.History, y.History))
}
