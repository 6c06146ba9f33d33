package batch_test

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

func BenchmarkRecords(b *testing.B) {
	for i, codec := range batchtest.Codecs() {
		b1 := batchtest.Load(b, 1000, 1000, codec)
		rs, err := batch.Decode(b1, 0)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("decode/codec=%d", i), func(b *testing.B) {
			b.SetBytes(1000 * 1000)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := batch.Decode(b1, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("append/codec=%d", i), func(b *testing.B) {
			b.SetBytes(1000 * 1000)
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				if dst, err = batch.Append(dst[:0], 0, codec, rs...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkForProduce(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b1 := batchtest.Load(b, n, 1000, kgo.NoCompression())
		var buf []byte
		b.SetBytes(int64(b1.Len()))
		for b.Loop() {
			buf = b1.ForProduce(buf[:0], 1, 2, 3)
		}
	}
}
