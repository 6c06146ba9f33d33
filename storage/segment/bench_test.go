package segment

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// load is batches of n records of so many bytes.
func load(b *testing.B, n, size int, codec kgo.CompressionCodec) Batch {
	r := rand.New(rand.NewPCG(1, 2))
	rs := make([]*kgo.Record, n)
	for i := range rs {
		v := make([]byte, size)
		for j := range v {
			v[j] = "0123456789abcdef"[r.IntN(16)]
		}
		rs[i] = &kgo.Record{Offset: int64(i), Value: v, Timestamp: time.UnixMilli(1700000000000)}
	}
	return encode(b, 0, codec, rs...)
}

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
			batch := load(b, c.records, 1000, kgo.NoCompression())
			w := NewWriter(io.Discard, Options{})
			ends := make([]int64, c.partitions)
			b.SetBytes(int64(batch.Len()))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				p := i % c.partitions
				i++
				for k, shift := 7, ends[p]; k >= 0; k, shift = k-1, shift>>8 {
					batch.raw[k] = byte(shift)
				}
				ends[p] = batch.EndOffset()
				if err := w.Append(Partition{Partition: int32(p)}, batch); err != nil {
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
			if err := w.Append(Partition{}, load(b, 1000, 1000, kgo.NoCompression())); err != nil {
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

func BenchmarkRecords(b *testing.B) {
	for i, codec := range codecs() {
		batch := load(b, 1000, 1000, codec)
		rs, err := DecodeBatch(batch, 0)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("decode/codec=%d", i), func(b *testing.B) {
			b.SetBytes(1000 * 1000)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeBatch(batch, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("append/codec=%d", i), func(b *testing.B) {
			b.SetBytes(1000 * 1000)
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				if dst, err = AppendBatch(dst[:0], 0, codec, rs...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
