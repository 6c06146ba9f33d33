package storage_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// txnBatch is a batch of a transaction: data, or a marker where control is set.
func txnBatch(t *testing.T, base, producer int64, control, commit bool) batch.Batch {
	t.Helper()
	key := []byte{0, 0, 0, 0}
	if commit {
		key[3] = 1
	}
	raw, err := batch.Append(nil, base, kgo.NoCompression(), &kgo.Record{Offset: base, Key: key, Value: make([]byte, 6)})
	noError(t, err)
	raw[22] |= 0x10
	if control {
		raw[22] |= 0x20
	}
	binary.BigEndian.PutUint64(raw[43:], uint64(producer))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	b, err := batch.Parse(raw)
	noError(t, err)
	return b
}

// TestAbortedFromAnyOffset: whether a batch is aborted doesn't depend on where reading begins.
func TestAbortedFromAnyOffset(t *testing.T) {
	bucket := memblob.OpenBucket(nil)
	defer func() { _ = bucket.Close() }()
	p := partition(1, 0)
	w, err := open(t, bucket).NewWriter(t.Context(), lineage, storage.WriterConfig{Segment: segment.Options{FrameBytes: 100}})
	noError(t, err)
	// Producer 5 aborts at 2 and commits at 5; producer 6 has one open over both segments, aborted
	// at 8.
	want := []bool{true, true, true, false, true, false, false, true, true, false, false}
	log := []batch.Batch{
		txnBatch(t, 0, 5, false, false), txnBatch(t, 1, 6, false, false), txnBatch(t, 2, 5, true, false),
		txnBatch(t, 3, 5, false, false), txnBatch(t, 4, 6, false, false), txnBatch(t, 5, 5, true, true),
		txnBatch(t, 6, 5, false, false), txnBatch(t, 7, 6, false, false), txnBatch(t, 8, 6, true, false),
		txnBatch(t, 9, 6, false, false), txnBatch(t, 10, 6, true, true),
	}
	change := storage.Change{CreatedAt: cutAt, Topics: []storage.Topic{topic(1)}, Partitions: []storage.PartitionState{upTo(p, 11)}}
	for _, part := range []struct {
		batches []batch.Batch
		aborted []batch.AbortedTxn
	}{
		{log[:6], []batch.AbortedTxn{{ProducerID: 5, FirstOffset: 0}, {ProducerID: 6, FirstOffset: 1}}},
		{log[6:], []batch.AbortedTxn{{ProducerID: 6, FirstOffset: 1}}},
	} {
		s, err := w.NewSegment(t.Context())
		noError(t, err)
		for _, b := range part.batches {
			noError(t, s.Append(p, b))
		}
		noError(t, s.Aborted(p, part.aborted...))
		c, err := s.Close()
		noError(t, err)
		change.Segments = append(change.Segments, c)
	}
	_, err = w.Commit(t.Context(), change)
	noError(t, err)
	for from := range int64(11) {
		c := w.Snapshot().Cursor(t.Context(), p, 0, from, 11, storage.CursorOptions{})
		next := from
		for {
			b, aborted, err := c.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			noError(t, err)
			if b.BaseOffset() != next {
				t.Fatalf("from %d: %d where %d belongs", from, b.BaseOffset(), next)
			}
			if !b.Control() && aborted != want[next] {
				t.Errorf("from %d: aborted at %d is %v", from, next, aborted)
			}
			next++
		}
		if c.Close(); next != 11 {
			t.Fatalf("from %d: ended at %d", from, next)
		}
	}
}
