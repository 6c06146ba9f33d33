package storagetest

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

var place = segment.Partition{Topic: kadm.TopicID{0: 1}}

// archive writes one, opens it again through another handle and reads it.
func archive(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	w := claim(t, open(t), "first")
	for base := int64(0); base < 30; base += 10 {
		if err := commit(t.Context(), w, base); err != nil {
			t.Fatal(err)
		}
	}
	a, err := storage.Open(t.Context(), open(t), storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckObjects(t.Context()); err != nil {
		t.Fatal(err)
	}
	if problems, err := a.VerifyChain(t.Context(), storage.Lineage{ClusterID: "conformance"}); err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
	if n := count(t, s); n != 30 {
		t.Fatalf("%d records of 30", n)
	}
}

// archiveOneWriter has two writers commit at the same time: only the one that claimed last may.
func archiveOneWriter(t *testing.T, open func(t *testing.T) *blob.Bucket) {
	writers := []*storage.Writer{claim(t, open(t), "first"), claim(t, open(t), "second")}
	errs := make([]error, len(writers))
	var wg sync.WaitGroup
	for i, w := range writers {
		wg.Go(func() { errs[i] = commit(t.Context(), w, 0) })
	}
	wg.Wait()
	var fenced *storage.FencedError
	if !errors.As(errs[0], &fenced) || fenced.Owner != "second" || errs[1] != nil {
		t.Fatalf("first: %v; second: %v", errs[0], errs[1])
	}
}

func claim(t *testing.T, b *blob.Bucket, owner string) *storage.Writer {
	t.Helper()
	return claimWith(t, b, owner, storage.Config{})
}

func claimWith(t *testing.T, b *blob.Bucket, owner string, cfg storage.Config) *storage.Writer {
	t.Helper()
	a, err := storage.Open(t.Context(), b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	w, err := a.NewWriter(t.Context(), storage.Lineage{ClusterID: "conformance"}, storage.WriterConfig{Owner: owner})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// commit adds ten records from base on.
func commit(ctx context.Context, w *storage.Writer, base int64) error {
	closed, err := closedSegment(ctx, w, base)
	if err != nil {
		return err
	}
	_, err = w.Commit(ctx, storage.Change{
		CreatedAt:  time.Unix(1, 0),
		Segments:   []*storage.Closed{closed},
		Topics:     []storage.Topic{{ID: place.Topic, Name: "conformance", Partitions: 1}},
		Partitions: []storage.PartitionState{{Partition: place, EndOffset: base + 10}},
	})
	return err
}

// closedSegment writes ten records from base on, which nothing names yet.
func closedSegment(ctx context.Context, w *storage.Writer, base int64) (*storage.Closed, error) {
	var rs []*kgo.Record
	for i := range int64(10) {
		rs = append(rs, &kgo.Record{Offset: base + i, Value: []byte("value"), Timestamp: time.UnixMilli(i)})
	}
	raw, err := batch.Append(nil, base, kgo.NoCompression(), rs...)
	if err != nil {
		return nil, err
	}
	b, err := batch.Parse(raw)
	if err != nil {
		return nil, err
	}
	s, err := w.NewSegment(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Append(place, b); err != nil {
		s.Abort()
		return nil, err
	}
	return s.Close()
}

func count(t *testing.T, s *storage.Snapshot) (records int32) {
	t.Helper()
	c := s.Cursor(t.Context(), place, 0, 0, 1<<62, storage.CursorOptions{})
	defer c.Close()
	for {
		b, _, err := c.Next()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		records += b.Records()
	}
}
