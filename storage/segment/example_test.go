package segment_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// A segment written and read back, with no Kafka and no bucket.
func Example() {
	if err := run(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// AQAAAAAAAAAAAAAAAAAAAA/3: 2 records, offsets 1842 to 1845, 1 missing
	// 1842 paid
	// 1844 shipped
}

func run() error {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	raw, err := batch.Append(nil, 1842, kgo.ZstdCompression(),
		&kgo.Record{Offset: 1842, Value: []byte("paid"), Timestamp: at},
		&kgo.Record{Offset: 1844, Value: []byte("shipped"), Timestamp: at})
	if err != nil {
		return err
	}
	b, err := batch.Parse(raw)
	if err != nil {
		return err
	}

	var object bytes.Buffer
	w := segment.NewWriter(&object, segment.Options{})
	if err := w.Append(segment.Partition{Topic: kadm.TopicID{1}, Partition: 3}, b); err != nil {
		return err
	}
	if _, err := w.Close(); err != nil {
		return err
	}

	r, err := segment.Open(bytes.NewReader(object.Bytes()), int64(object.Len()))
	if err != nil {
		return err
	}
	for _, info := range r.Runs() {
		fmt.Printf("%v: %d records, offsets %d to %d, %d missing\n",
			info.Partition, info.Records, info.BaseOffset, info.EndOffset, info.Missing)
		if err := show(r, info); err != nil {
			return err
		}
	}
	return r.Verify()
}

func show(r *segment.Reader, info segment.RunInfo) error {
	run, err := r.Run(info)
	if err != nil {
		return err
	}
	for b, err := range r.Batches(run, 0) {
		if err != nil {
			return err
		}
		records, err := batch.Decode(b, 0)
		if err != nil {
			return err
		}
		for _, record := range records {
			fmt.Println(record.Offset, string(record.Value))
		}
	}
	return nil
}
