package segment

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestSmoke(t *testing.T) {
	var buf bytes.Buffer
	w := NewWriter(&buf, Options{FrameBytes: 300, BufferBytes: 9000, Zstd: true})
	var want [][]byte
	for p := range int32(3) {
		for i := range int64(10) {
			codec := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}[i%5]
			raw, err := AppendBatch(nil, i*7, codec, &kgo.Record{Value: []byte("hellohellohellohellohello"), Timestamp: time.UnixMilli(-1), Offset: i*7 + 1, Headers: []kgo.RecordHeader{{Key: "x"}, {Key: "x", Value: []byte{}}}})
			if err != nil {
				t.Fatal(err)
			}
			b, err := ParseBatch(raw)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.CheckCRC(); err != nil {
				t.Fatal(err)
			}
			rs, err := DecodeBatch(b, 0)
			if err != nil || rs[0].Offset != i*7+1 || rs[0].Timestamp.UnixMilli() != -1 || rs[0].Headers[0].Value != nil || rs[0].Headers[1].Value == nil {
				t.Fatal(rs, err)
			}
			want = append(want, raw)
			if err := w.Append(Partition{Partition: p}, b); err != nil {
				t.Fatal(err)
			}
		}
	}
	infos, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(infos, r.Runs()); d != "" {
		t.Fatal(d)
	}
	var got [][]byte
	for _, i := range r.Runs() {
		run, err := r.Run(i)
		if err != nil {
			t.Fatal(err)
		}
		for b, err := range r.Batches(run, 0) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, bytes.Clone(b.Raw()))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if err := r.Verify(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", infos[0])
}
