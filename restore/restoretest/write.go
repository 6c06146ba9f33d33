package restoretest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/filestore"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// ClusterID is the source cluster of archives that Write makes.
const ClusterID = "restoretest-cluster-00"

// maxBatch is how many records one batch gets.
const maxBatch = 1000

// Topic is a topic to write.
type Topic struct {
	// Name is required.
	Name string
	// Partitions is the number of partitions; by default as many as the records need, and one at
	// least.
	Partitions int32
	// Configs are the topic's own.
	Configs map[string]string
	// Records go to the partition, and have the offset, timestamp, key, value and headers that they
	// say. Within a partition offsets ascend; offsets that no record has become holes. Where all
	// are 0 they count up from 0. Records without a timestamp get one, a millisecond after the one
	// before.
	Records []*kgo.Record
	// Groups are committed offsets: group, partition, offset.
	Groups map[string]map[int32]int64
}

// Write makes an archive of one complete snapshot in a directory, which must be empty or not there:
// a format marker, a segment and a log entry. The same topics give the same bytes. Any fault is the
// test's end.
func Write(t TB, dir string, topics ...Topic) {
	t.Helper()
	if err := write(t.Context(), dir, topics); err != nil {
		t.Fatalf("restoretest: write: %v", err)
	}
}

// epoch is every time in the archive, and where records' timestamps begin.
func epoch() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func write(ctx context.Context, dir string, topics []Topic) error {
	b, err := filestore.OpenBucket(dir, nil)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	a, err := storage.Open(ctx, b, storage.Config{})
	if err != nil {
		return err
	}
	w, err := a.NewLineage(storage.Lineage{ClusterID: ClusterID}, storage.WriterConfig{Owner: "restoretest"}, epoch())
	if err != nil {
		return err
	}
	sw, err := w.NewSegment(ctx)
	if err != nil {
		return err
	}
	c := storage.Change{CreatedAt: epoch(), Groups: []storage.Group{}, Cluster: &storage.Cluster{Brokers: 1}}
	for _, topic := range slices.SortedFunc(slices.Values(topics), func(a, b Topic) int { return cmp.Compare(a.Name, b.Name) }) {
		if err := topic.write(sw, &c); err != nil {
			sw.Abort()
			return fmt.Errorf("%s: %w", topic.Name, err)
		}
	}
	closed, err := sw.Close()
	if err != nil {
		return err
	}
	c.Segments = append(c.Segments, closed)
	_, err = w.Commit(ctx, c)
	return err
}

// write appends the topic's records to the segment and the topic to the change.
func (t Topic) write(sw *storage.SegmentWriter, c *storage.Change) error {
	sum := sha256.Sum256([]byte(t.Name))
	st := storage.Topic{ID: kadm.TopicID(sum[:16]), Name: t.Name, Partitions: max(t.Partitions, 1), ReplicationFactor: 1}
	for _, r := range t.Records {
		st.Partitions = max(st.Partitions, r.Partition+1)
	}
	for _, k := range sortedKeys(t.Configs) {
		v := t.Configs[k]
		st.Configs = append(st.Configs, storage.TopicConfig{Key: k, Value: &v, Source: "DYNAMIC_TOPIC_CONFIG"})
	}
	c.Topics = append(c.Topics, st)
	for p := range st.Partitions {
		state, err := writePartition(sw, segment.Partition{Topic: st.ID, Partition: p}, placed(t.Records, p))
		if err != nil {
			return err
		}
		c.Partitions = append(c.Partitions, state)
	}
	t.groups(st, c)
	return nil
}

// groups adds the topic's committed offsets to the change.
func (t Topic) groups(st storage.Topic, c *storage.Change) {
	for _, name := range sortedKeys(t.Groups) {
		i := slices.IndexFunc(c.Groups, func(g storage.Group) bool { return g.Name == name })
		if i < 0 {
			i = len(c.Groups)
			c.Groups = append(c.Groups, storage.Group{Name: name, Type: "classic", State: "Empty", ProtocolType: "consumer"})
		}
		for _, p := range sortedKeys(t.Groups[name]) {
			c.Groups[i].Offsets = append(c.Groups[i].Offsets, storage.GroupOffset{
				TopicID: st.ID, Topic: st.Name, Partition: p, Offset: t.Groups[name][p], LeaderEpoch: -1,
			})
		}
	}
}

// placed are copies of a partition's records, with offsets and timestamps where they had none.
func placed(rs []*kgo.Record, partition int32) []*kgo.Record {
	var own []*kgo.Record
	counted := true
	for _, r := range rs {
		if r.Partition == partition {
			r := *r
			own = append(own, &r)
			counted = counted && r.Offset == 0
		}
	}
	for i, r := range own {
		if counted {
			r.Offset = int64(i)
		}
		if r.Timestamp.IsZero() {
			r.Timestamp = epoch().Add(time.Duration(i) * time.Millisecond)
		}
	}
	return own
}

func writePartition(sw *storage.SegmentWriter, p segment.Partition, rs []*kgo.Record) (storage.PartitionState, error) {
	state := storage.PartitionState{Partition: p}
	for rs := range slices.Chunk(rs, maxBatch) {
		raw, err := batch.Append(nil, rs[0].Offset, kgo.NoCompression(), rs...)
		if err != nil {
			return state, err
		}
		b, err := batch.Parse(raw)
		if err != nil {
			return state, err
		}
		if b.BaseOffset() > state.EndOffset {
			state.Holes = append(state.Holes, storage.Hole{
				Range:  storage.Range{BaseOffset: state.EndOffset, EndOffset: b.BaseOffset()},
				Reason: storage.Compacted, Evidence: "restoretest: no record was given",
			})
		}
		if err := sw.Append(p, b); err != nil {
			return state, err
		}
		state.EndOffset = b.EndOffset()
	}
	return state, nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
