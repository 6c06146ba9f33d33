package backup_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fake(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func source(c *kfake.Cluster) []kgo.Opt { return []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)} }

func bucket(t testing.TB) *blob.Bucket {
	b := memblob.OpenBucket(nil)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func archive(t testing.TB, b *blob.Bucket) *storage.Archive {
	t.Helper()
	a, err := storage.Open(t.Context(), b, storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// produce appends n records to a partition, batches of up to per.
func produce(t testing.TB, c *kfake.Cluster, topic string, partition int32, from, n, per int) {
	t.Helper()
	cl, err := kgo.NewClient(append(source(c), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i := from; i < from+n; {
		var rs []*kgo.Record
		for ; i < from+n && len(rs) < per; i++ {
			rs = append(rs, &kgo.Record{Topic: topic, Partition: partition, Key: fmt.Appendf(nil, "key-%d", i), Value: fmt.Appendf(nil, "value-%d", i)})
		}
		if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

type rec struct {
	Offset     int64
	Key, Value string
}

// sourceRecords reads a partition at read_committed up to its last stable offset.
func sourceRecords(t testing.TB, opts []kgo.Opt, topic string, partition int32, end int64) []rec {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var out []rec
	for next := int64(0); next < end; {
		fs := cl.PollFetches(t.Context())
		if err := fs.Err0(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			next = max(next, r.Offset+1)
			if r.Offset < end && !r.Attrs.IsControl() {
				out = append(out, rec{r.Offset, string(r.Key), string(r.Value)})
			}
		})
	}
	return out
}

// archived reads a partition's newest history from the archive, as a read_committed consumer would.
func archived(t testing.TB, s *storage.Snapshot, topic string, partition int32) []rec {
	t.Helper()
	p := stateOf(t, s, topic, partition)
	return records(t, s, p)
}

func records(t testing.TB, s *storage.Snapshot, p storage.PartitionState) []rec {
	t.Helper()
	c := s.Cursor(t.Context(), p.Partition, p.History, p.StartOffset, p.EndOffset, storage.CursorOptions{})
	defer c.Close()
	var out []rec
	for {
		b, aborted, err := c.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if aborted || b.Control() {
			continue
		}
		rs, err := batch.Decode(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if r.Offset >= p.StartOffset && r.Offset < p.EndOffset {
				out = append(out, rec{r.Offset, string(r.Key), string(r.Value)})
			}
		}
	}
}

func topicOf(t testing.TB, s *storage.Snapshot, name string) storage.Topic {
	t.Helper()
	for topic, err := range s.Topics(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if topic.Name == name && topic.Deleted.IsZero() {
			return topic
		}
	}
	t.Fatalf("no topic %s", name)
	return storage.Topic{}
}

func stateOf(t testing.TB, s *storage.Snapshot, topic string, partition int32) storage.PartitionState {
	t.Helper()
	for p, err := range s.Partitions(t.Context(), topicOf(t, s, topic).ID) {
		if err != nil {
			t.Fatal(err)
		}
		if p.Partition.Partition == partition {
			return p
		}
	}
	t.Fatalf("no partition %s/%d", topic, partition)
	return storage.PartitionState{}
}

func open(t testing.TB, a *storage.Archive, id string) *storage.Snapshot {
	t.Helper()
	s, err := a.Snapshot(context.WithoutCancel(t.Context()), id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func verified(t testing.TB, a *storage.Archive, s *storage.Snapshot) {
	t.Helper()
	r, err := backup.Verify(t.Context(), a, s, backup.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Errorf("verify: %+v", p)
	}
}

func TestRunIsIncremental(t *testing.T) {
	c := fake(t, kfake.NumBrokers(3), kfake.SeedTopics(4, "orders"), kfake.SeedTopics(1, "other"))
	a := archive(t, bucket(t))
	cfg := backup.Config{Source: source(c), Archive: a, Exclude: []string{"oth.*"}}
	var total int64
	for round := range 3 {
		for p := range int32(4) {
			produce(t, c, "orders", p, round*50, 50, 7)
		}
		r, err := backup.Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r.Records != 200 {
			t.Errorf("round %d: %d records", round, r.Records)
		}
		total += r.Records
		if r.Snapshot.Records != total || !r.Snapshot.Complete || r.Snapshot.Flush {
			t.Errorf("%+v", r.Snapshot)
		}
		if diff := cmp.Diff([]string{"other"}, r.LeftOut); diff != "" {
			t.Error(diff)
		}
		s := open(t, a, r.Snapshot.ID)
		for p := range int32(4) {
			want := sourceRecords(t, source(c), "orders", p, int64(50*(round+1)))
			if diff := cmp.Diff(want, archived(t, s, "orders", p)); diff != "" {
				t.Fatal(diff)
			}
		}
		verified(t, a, s)
	}
}

func sortedNames(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}
