package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

var lineage = storage.Lineage{ClusterID: "MkU3OEVBNTcwNTJENDM2Qg"}

var cutAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func topicID(n byte) kadm.TopicID { return kadm.TopicID{0: 7, 15: n} }

func partition(topic byte, p int32) segment.Partition {
	return segment.Partition{Topic: topicID(topic), Partition: p}
}

func makeBatch(t testing.TB, base int64, values ...string) batch.Batch {
	t.Helper()
	var rs []*kgo.Record
	for i, v := range values {
		rs = append(rs, &kgo.Record{Offset: base + int64(i), Value: []byte(v), Timestamp: time.UnixMilli(1000 + base + int64(i))})
	}
	raw, err := batch.Append(nil, base, kgo.NoCompression(), rs...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := batch.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, b *blob.Bucket) *storage.Archive {
	t.Helper()
	a, err := storage.Open(t.Context(), b, storage.Config{Retries: 2})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newWriter(t testing.TB, a *storage.Archive, owner string) *storage.Writer {
	t.Helper()
	w, err := a.NewWriter(t.Context(), lineage, storage.WriterConfig{Owner: owner})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// write makes a segment of one batch of 10 records from base on, in each partition.
func write(t testing.TB, w *storage.Writer, base int64, ps ...segment.Partition) *storage.Closed {
	t.Helper()
	c, err := tryWrite(t, t.Context(), w, base, ps...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tryWrite(t testing.TB, ctx context.Context, w *storage.Writer, base int64, ps ...segment.Partition) (*storage.Closed, error) {
	t.Helper()
	s, err := w.NewSegment(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range ps {
		var values []string
		for i := range 10 {
			values = append(values, fmt.Sprintf("%v/%d", p, base+int64(i)))
		}
		if err := s.Append(p, makeBatch(t, base, values...)); err != nil {
			s.Abort()
			return nil, err
		}
	}
	return s.Close()
}

func topic(n byte) storage.Topic {
	return storage.Topic{ID: topicID(n), Name: fmt.Sprintf("topic-%d", n), Partitions: 2, ReplicationFactor: 3}
}

func upTo(p segment.Partition, end int64) storage.PartitionState {
	return storage.PartitionState{Partition: p, EndOffset: end, LeaderEpoch: 4}
}

// readAll reads a partition's newest history whole.
func readAll(t testing.TB, s *storage.Snapshot, p segment.Partition) (values []string) {
	t.Helper()
	c := s.Cursor(t.Context(), p, 0, 0, 1<<62, storage.CursorOptions{})
	defer c.Close()
	for {
		b, _, err := c.Next()
		if errors.Is(err, io.EOF) {
			return values
		}
		if err != nil {
			t.Fatal(err)
		}
		rs, err := batch.Decode(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			values = append(values, fmt.Sprintf("%d=%s", r.Offset, r.Value))
		}
	}
}

func TestCommitAndRead(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	w := newWriter(t, open(t, b), "first")
	if w.Snapshot() != nil {
		t.Fatal("a new lineage has a snapshot")
	}
	p, q := partition(1, 0), partition(1, 1)
	info, err := w.Commit(t.Context(), storage.Change{
		CreatedAt: cutAt, Segments: []*storage.Closed{write(t, w, 0, p, q)},
		Topics: []storage.Topic{topic(1)}, Partitions: []storage.PartitionState{upTo(p, 10), upTo(q, 10)},
		Groups: []storage.Group{{Name: "g\xff", Type: "classic", Offsets: []storage.GroupOffset{{TopicID: topicID(1), Topic: "topic-1", Offset: 3}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if info.Topics != 1 || info.Partitions != 2 || info.Records != 20 || !info.Complete {
		t.Fatalf("%+v", info)
	}
	flush, err := w.Commit(t.Context(), storage.Change{
		CreatedAt: cutAt, Flush: true, Segments: []*storage.Closed{write(t, w, 10, p)}, Partitions: []storage.PartitionState{upTo(p, 20)},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := open(t, b)
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Info() != flush || s.Info().Records != 30 {
		t.Fatalf("latest is %+v", s.Info())
	}
	if got := readAll(t, s, p); len(got) != 20 || got[19] != fmt.Sprintf("19=%v/19", p) {
		t.Fatal(got)
	}
	if err := s.CheckObjects(t.Context()); err != nil {
		t.Fatal(err)
	}
	old, err := a.Snapshot(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, old, p); len(got) != 10 {
		t.Fatal(got)
	}
	var ids []string
	for i, err := range a.Snapshots(t.Context(), lineage) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, i.ID)
	}
	if len(ids) != 2 || ids[0] != info.ID || ids[1] != flush.ID {
		t.Fatal(ids)
	}
	if problems, err := a.VerifyChain(t.Context(), lineage); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	for g, err := range s.Groups(t.Context()) {
		if err != nil || g.Name != "g\xff" || len(g.Offsets) != 1 {
			t.Fatal(g, err)
		}
	}
}

func TestFenced(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	a := open(t, b)
	old, p := newWriter(t, a, "old"), partition(1, 0)
	c := write(t, old, 0, p)
	newer := newWriter(t, a, "newer")
	change := storage.Change{
		CreatedAt: cutAt, Segments: []*storage.Closed{c}, Topics: []storage.Topic{topic(1)},
		Partitions: []storage.PartitionState{upTo(p, 10)},
	}
	for range 2 {
		_, err := old.Commit(t.Context(), change)
		var fenced *storage.FencedError
		if !errors.As(err, &fenced) || !errors.Is(err, storage.ErrFenced) || fenced.Owner != "newer" {
			t.Fatal(err)
		}
	}
	change.Segments[0] = write(t, newer, 0, p)
	if _, err := newer.Commit(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	res, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{})
	if err != nil || res.Objects != 1 || res.Bytes != c.Object.Size {
		t.Fatal(res, err)
	}
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(readAll(t, s, p)) != 10 {
		t.Fatal("not all records")
	}
}
