package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// Records become a batch, a segment and a commit, and are read again.
func Example() {
	ctx := context.Background()
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	arch, err := storage.Open(ctx, b, storage.Config{})
	must(err)
	w, err := arch.NewWriter(ctx, storage.Lineage{ClusterID: "MkU3OEVBNTcwNTJENDM2Qg"}, storage.WriterConfig{})
	must(err)

	orders := segment.Partition{Topic: kadm.TopicID{15: 1}, Partition: 0}
	raw, err := batch.Append(nil, 1000, kgo.NoCompression(),
		&kgo.Record{Offset: 1000, Value: []byte("a hat"), Timestamp: time.UnixMilli(1)},
		&kgo.Record{Offset: 1001, Value: []byte("a coat"), Timestamp: time.UnixMilli(2)})
	must(err)
	batch, err := batch.Parse(raw)
	must(err)
	seg, err := w.NewSegment(ctx)
	must(err)
	must(seg.Append(orders, batch))
	closed, err := seg.Close()
	must(err)
	info, err := w.Commit(ctx, storage.Change{
		CreatedAt:  time.Now(),
		Segments:   []*storage.Closed{closed},
		Topics:     []storage.Topic{{ID: orders.Topic, Name: "orders", Partitions: 1}},
		Partitions: []storage.PartitionState{{Partition: orders, StartOffset: 1000, EndOffset: 1002}},
	})
	must(err)
	fmt.Println(info.Topics, "topic,", info.Records, "records")

	s, err := arch.Latest(ctx, nil)
	must(err)
	c := s.Cursor(ctx, orders, 0, 1001, 1002, storage.CursorOptions{})
	defer c.Close()
	for {
		b, _, err := c.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(err)
		fmt.Println("batch from", b.BaseOffset(), "to", b.EndOffset())
	}
	// Output:
	// 1 topic, 2 records
	// batch from 1000 to 1002
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
