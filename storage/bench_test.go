package storage_test

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/filestore"
)

// batchAt is the batch at another base offset, which no CRC covers.
func batchAt(b batch.Batch, base int64) batch.Batch {
	binary.BigEndian.PutUint64(b.Raw(), uint64(base))
	return b
}

// BenchmarkSegment writes 64 MiB segments to a directory, and reads them by a cursor.
func BenchmarkSegment(b *testing.B) {
	bucket, err := filestore.OpenBucket(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = bucket.Close() }()
	w, p := newWriter(b, open(b, bucket), "bench"), partition(1, 0)
	value := string(make([]byte, 64<<10))
	data := makeBatch(b, 0, value)
	const count = 1000
	var end int64
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(count * data.Len()))
		for b.Loop() {
			s, err := w.NewSegment(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			for i := range int64(count) {
				if err := s.Append(p, batchAt(data, i)); err != nil {
					b.Fatal(err)
				}
			}
			c, err := s.Close()
			if err != nil {
				b.Fatal(err)
			}
			if end == 0 {
				end = count
				_, err = w.Commit(b.Context(), storage.Change{
					CreatedAt: cutAt, Topics: []storage.Topic{topic(1)}, Segments: []*storage.Closed{c}, Partitions: []storage.PartitionState{upTo(p, end)},
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(count * data.Len()))
		b.ReportAllocs()
		for b.Loop() {
			c := w.Snapshot().Cursor(b.Context(), p, 0, 0, end, storage.CursorOptions{})
			for {
				if _, _, err := c.Next(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
			c.Close()
		}
	})
}
