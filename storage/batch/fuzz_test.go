package batch_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

const fuzzLimit = 1 << 20

// FuzzSplit takes any bytes: what is split off joins to what was given.
func FuzzSplit(f *testing.F) {
	f.Add(batchtest.Plain(f, 10, 3).Raw())
	f.Add(batchtest.Marker(f, 10, 3, 1).Raw())
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, rest, err := batch.Split(raw)
		if err != nil {
			return
		}
		if b.EndOffset() <= b.BaseOffset() || int64(b.Records()) > b.EndOffset()-b.BaseOffset() || b.Len()+len(rest) != len(raw) {
			t.Fatalf("offsets %d to %d, %d records, %d bytes", b.BaseOffset(), b.EndOffset(), b.Records(), b.Len())
		}
		_ = b.CheckCRC()
		_, _ = b.ControlType()
		if _, err := batch.Parse(b.ForProduce(nil, 1, 2, 3)); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzDecode takes any batch: what is decoded encodes to the same records.
func FuzzDecode(f *testing.F) {
	for i, c := range batchtest.Codecs() {
		f.Add(batchtest.Encode(f, int64(i), c, &kgo.Record{Key: []byte("k"), Headers: []kgo.RecordHeader{{Key: "h"}}, Offset: int64(i) + 2}).Raw())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, _, err := batch.Split(raw)
		if err != nil {
			return
		}
		rs, err := batch.Decode(b, fuzzLimit)
		if err != nil || len(rs) == 0 {
			return
		}
		again, err := batch.Append(nil, b.BaseOffset(), kgo.NoCompression(), rs...)
		if err != nil {
			if rs[len(rs)-1].Offset == 0 && len(rs) == 1 {
				return
			}
			t.Fatal(err)
		}
		got, err := batch.Decode(batch.Unchecked(again), 0)
		if err != nil || !sameRecords(rs, got) {
			t.Fatalf("other records: %v", err)
		}
	})
}

func sameRecords(a, b []*kgo.Record) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Offset != b[i].Offset || a[i].Timestamp.UnixMilli() != b[i].Timestamp.UnixMilli() || len(a[i].Headers) != len(b[i].Headers) ||
			!bytes.Equal(a[i].Key, b[i].Key) || (a[i].Key == nil) != (b[i].Key == nil) ||
			!bytes.Equal(a[i].Value, b[i].Value) || (a[i].Value == nil) != (b[i].Value == nil) {
			return false
		}
		for j, h := range a[i].Headers {
			g := b[i].Headers[j]
			if h.Key != g.Key || !bytes.Equal(h.Value, g.Value) || (h.Value == nil) != (g.Value == nil) {
				return false
			}
		}
	}
	return true
}

// FuzzConvertLegacy takes any bytes: what comes out is batches of magic 2.
func FuzzConvertLegacy(f *testing.F) {
	inner := old(nil, 1, 0, 0, 5, nil, []byte("v"))
	f.Add(old(old(nil, 0, 0, 7, 0, []byte("k"), nil), 1, 1, 9, 0, nil, batchtest.Zipped(f, 1, inner)))
	f.Add(old(nil, 1, 2, 9, 0, nil, batchtest.Zipped(f, 2, inner)))
	f.Add(append(old(nil, 1, 0, 7, 0, nil, nil), batchtest.Plain(f, 8, 1).Raw()...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, err := batch.ConvertLegacy(raw)
		if err != nil {
			return
		}
		for _, err := range batch.All(out) {
			if err != nil && len(out) >= 17 && out[16] == 2 {
				t.Fatal(err)
			}
		}
	})
}

// FuzzAppendRoundTrip takes any record.
func FuzzAppendRoundTrip(f *testing.F) {
	f.Add(int64(5), int64(2), int64(-1), []byte("k"), []byte(""), "h", []byte{}, uint8(9), uint8(4))
	f.Add(int64(0), int64(0), int64(1<<62), []byte(""), []byte("v"), "\xff", []byte("x"), uint8(255), uint8(1))
	f.Fuzz(func(t *testing.T, base, skip, ms int64, key, value []byte, header string, hv []byte, null, codec uint8) {
		unless := func(bit uint8, b []byte) []byte {
			if null&bit != 0 {
				return nil
			}
			return append([]byte{}, b...)
		}
		offset := base + skip
		rs := []*kgo.Record{
			{Offset: offset, Timestamp: time.UnixMilli(ms), Key: unless(1, key), Value: unless(2, value)},
			{Offset: offset + 1, Timestamp: time.UnixMilli(-ms), Key: unless(4, key), Value: unless(8, value),
				Headers: []kgo.RecordHeader{{Key: header, Value: unless(16, hv)}, {Key: header, Value: unless(32, hv)}}},
		}
		raw, err := batch.Append(nil, base, batchtest.Codecs()[codec%5], rs...)
		if err != nil {
			return
		}
		b, err := batch.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := batch.Decode(b, 0)
		if err != nil || b.CheckCRC() != nil || !sameRecords(rs, got) {
			t.Fatalf("other records: %v", err)
		}
	})
}
