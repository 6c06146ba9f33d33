package restore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// pool has the real clusters that tests share.
var pool testkafka.Pool

func TestMain(m *testing.M) {
	code := pool.Run(m.Run)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// fakeTopic is a topic for an archive that no Kafka was needed for.
type fakeTopic struct {
	name       string
	partitions []opstest.History
	configs    map[string]string
	deleted    bool
	rf         int16
}

func (f fakeTopic) topic(id byte) storage.Topic {
	t := storage.Topic{
		ID: kadm.TopicID{15: id}, Name: f.name, Partitions: int32(len(f.partitions)), ReplicationFactor: max(f.rf, 1),
	}
	configs := map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
	for k, v := range f.configs {
		configs[k] = v
	}
	for _, k := range sortedKeys(configs) {
		v := configs[k]
		t.Configs = append(t.Configs, storage.TopicConfig{Key: k, Value: &v, Source: dynamicTopicConfig})
	}
	if f.deleted {
		t.Deleted = time.Unix(1, 0)
	}
	return t
}

const testCluster = "AAAAAAAAAAAAAAAAAAAAAA"

// fakeArchive writes topics into an archive and returns its snapshot.
func fakeArchive(t testing.TB, change func(*storage.Change), topics ...fakeTopic) *storage.Snapshot {
	t.Helper()
	s, _ := fakeBucket(t, change, topics...)
	return s
}

// fakeBucket is fakeArchive with its bucket.
func fakeBucket(t testing.TB, change func(*storage.Change), topics ...fakeTopic) (*storage.Snapshot, *blob.Bucket) {
	t.Helper()
	bucket := memblob.OpenBucket(nil)
	t.Cleanup(func() { _ = bucket.Close() })
	a, err := storage.Open(t.Context(), bucket, storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return writeArchive(t, a, change, topics...), bucket
}

func writeArchive(t testing.TB, a *storage.Archive, change func(*storage.Change), topics ...fakeTopic) *storage.Snapshot {
	t.Helper()
	w, err := a.NewWriter(t.Context(), storage.Lineage{ClusterID: testCluster}, storage.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	c := storage.Change{CreatedAt: time.Unix(1000, 0)}
	sw, err := w.NewSegment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, ft := range topics {
		topic := ft.topic(byte(i + 1))
		c.Topics = append(c.Topics, topic)
		for p, h := range ft.partitions {
			c.Partitions = append(c.Partitions, writeHistory(t, sw, segment.Partition{Topic: topic.ID, Partition: int32(p)}, h))
		}
	}
	closed, err := sw.Close()
	if err != nil {
		t.Fatal(err)
	}
	c.Segments = append(c.Segments, closed)
	if change != nil {
		change(&c)
	}
	info, err := w.Commit(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Snapshot(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// writeHistory appends a history's batches. Aborted ones get a producer of their own.
func writeHistory(t testing.TB, sw *storage.SegmentWriter, p segment.Partition, h opstest.History) storage.PartitionState {
	t.Helper()
	state := storage.PartitionState{Partition: p, StartOffset: h.Start, FirstOffset: h.Start, EndOffset: h.End}
	next := h.Start
	hole := func(to int64) {
		if to > next {
			state.Holes = append(state.Holes, storage.Hole{Range: storage.Range{BaseOffset: next, EndOffset: to}, Reason: storage.Compacted, Evidence: "test"})
		}
	}
	for i, st := range h.Batches {
		raw := st.Raw
		binary.BigEndian.PutUint64(raw[43:], uint64(1000+i))
		opstest.SetAttributes(raw, 0)
		b, err := batch.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if b.EndOffset() <= h.Start || b.BaseOffset() >= h.End {
			continue
		}
		state.FirstOffset = min(state.FirstOffset, b.BaseOffset())
		hole(b.BaseOffset())
		if st.Aborted {
			err = sw.Aborted(p, batch.AbortedTxn{ProducerID: b.ProducerID(), FirstOffset: b.BaseOffset()})
		}
		if err == nil {
			err = sw.Append(p, b)
		}
		if err != nil {
			t.Fatal(err)
		}
		next = b.EndOffset()
	}
	hole(h.End)
	return state
}

// randomTopics are topics with every kind of batch and hole.
func randomTopics(t testing.TB, r *rand.Rand, names ...string) []fakeTopic {
	t.Helper()
	var topics []fakeTopic
	for _, name := range names {
		ft := fakeTopic{name: name}
		for range 1 + r.IntN(3) {
			ft.partitions = append(ft.partitions, opstest.Random(t, r))
		}
		topics = append(topics, ft)
	}
	return topics
}

// plain is a history of n batches of some records each.
func plain(t testing.TB, base int64, batches, records int) opstest.History {
	t.Helper()
	h := opstest.History{Start: base, End: base}
	for range batches {
		raw, err := batch.Append(nil, h.End, kgo.NoCompression(), opstest.Rows(h.End, records)...)
		if err != nil {
			t.Fatal(err)
		}
		h.Batches = append(h.Batches, opstest.Batch{Raw: raw})
		h.End += int64(records)
	}
	return h
}

// fakeConfig restores s onto a new kfake.
func fakeConfig(t testing.TB, s *storage.Snapshot) (Config, testkafka.Cluster) {
	t.Helper()
	cl := testkafka.Fake(t, testkafka.Options{})
	return Config{Target: cl.Opts(), Snapshot: s, quiet: 10 * time.Millisecond}, cl
}

// restored plans and runs.
func restored(t testing.TB, cfg Config) *Result {
	t.Helper()
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// large is a history of batches of 900 KB that don't compress.
func large(t testing.TB, batches int) opstest.History {
	t.Helper()
	var h opstest.History
	noise := bytes.NewBuffer(nil)
	r := rand.New(rand.NewPCG(1, 1))
	for noise.Len() < 1000 {
		fmt.Fprintf(noise, "%x", r.Uint64())
	}
	for range batches {
		var rs []*kgo.Record
		for k := range int64(900) {
			rs = append(rs, &kgo.Record{Offset: h.End + k, Timestamp: time.Now(), Value: noise.Bytes()[:1000]})
		}
		raw, err := batch.Append(nil, h.End, kgo.NoCompression(), rs...)
		if err != nil {
			t.Fatal(err)
		}
		h.Batches = append(h.Batches, opstest.Batch{Raw: raw})
		h.End += 900
	}
	return h
}
