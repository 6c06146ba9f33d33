package segment

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

// BenchmarkSHA256 is what Append can't be faster than.
func BenchmarkSHA256(b *testing.B) {
	raw := make([]byte, 1<<20)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		sha256.Sum256(raw)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, c := range []struct{ records, partitions int }{{1000, 8}, {10, 8}, {10, 1000}} {
		b.Run(fmt.Sprintf("records=%d/partitions=%d", c.records, c.partitions), func(b *testing.B) {
			b1 := batchtest.Load(b, c.records, 1000, kgo.NoCompression())
			w := NewWriter(io.Discard, Options{})
			ends := make([]int64, c.partitions)
			b.SetBytes(int64(b1.Len()))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				p := i % c.partitions
				i++
				for k, shift := 7, ends[p]; k >= 0; k, shift = k-1, shift>>8 {
					b1.Raw()[k] = byte(shift)
				}
				ends[p] = b1.EndOffset()
				if err := w.Append(Partition{Partition: int32(p)}, b1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpenFrame(b *testing.B) {
	for _, zip := range []bool{false, true} {
		b.Run(fmt.Sprintf("zstd=%v", zip), func(b *testing.B) {
			var object bytes.Buffer
			w := NewWriter(&object, Options{Zstd: zip})
			if err := w.Append(Partition{}, batchtest.Load(b, 1000, 1000, kgo.NoCompression())); err != nil {
				b.Fatal(err)
			}
			infos, err := w.Close()
			if err != nil {
				b.Fatal(err)
			}
			r, err := Open(bytes.NewReader(object.Bytes()), int64(object.Len()))
			if err != nil {
				b.Fatal(err)
			}
			run, err := r.Run(infos[0])
			if err != nil {
				b.Fatal(err)
			}
			f := run.Frames[0]
			stored := object.Bytes()[f.Position : f.Position+int64(f.Length)]
			var buf []byte
			b.SetBytes(int64(f.RawLength))
			b.ReportAllocs()
			for b.Loop() {
				raw, err := OpenFrame(buf[:0], stored, f)
				if err != nil {
					b.Fatal(err)
				}
				if zip {
					buf = raw
				}
			}
		})
	}
}
