package batch_test

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// Two records with a hole between their offsets, encoded and decoded.
func Example() {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	raw, err := batch.Append(nil, 1842, kgo.ZstdCompression(),
		&kgo.Record{Offset: 1842, Value: []byte("paid"), Timestamp: at},
		&kgo.Record{Offset: 1844, Value: []byte("shipped"), Timestamp: at})
	if err != nil {
		fmt.Println(err)
		return
	}
	for b, err := range batch.All(raw) {
		if err != nil {
			fmt.Println(err)
			return
		}
		records, err := batch.Decode(b, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("[%d, %d), %d records, codec %d, CRC error: %v\n", b.BaseOffset(), b.EndOffset(), b.Records(), b.Codec(), b.CheckCRC())
		for _, r := range records {
			fmt.Println(r.Offset, string(r.Value))
		}
	}
	// Output:
	// [1842, 1845), 2 records, codec 4, CRC error: <nil>
	// 1842 paid
	// 1844 shipped
}
