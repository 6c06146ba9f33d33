package segment

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const fuzzLimit = 1 << 20

// FuzzOpen takes any object, as it is and with digests made right, so that
// more than the digests is tried: an error, or everything in it can be read.
func FuzzOpen(f *testing.F) {
	object, _, _ := small(f)
	f.Add(object)
	f.Add(object[:len(object)-1])
	f.Add(forge(nil, Version, nil))
	f.Add(forge(plain(f, 10, 3).raw, Version, nil, honest(f, plain(f, 10, 3))))
	f.Fuzz(func(t *testing.T, object []byte) {
		for _, o := range [][]byte{object, resign(object)} {
			_, readErr := read(o)
			if err := verify(o); err == nil && readErr != nil {
				t.Fatalf("Verify finds nothing, reading does: %v", readErr)
			}
		}
	})
}

// resign makes the digests of directory and footer right, and the length.
func resign(object []byte) []byte {
	o := bytes.Clone(object)
	if len(o) < headerLen+footerLen {
		return o
	}
	end := o[len(o)-footerLen:]
	at, n := binary.BigEndian.Uint64(end[8:]), binary.BigEndian.Uint64(end[16:])
	if size := uint64(len(o)); at <= size && n <= size-at {
		sum := sha256.Sum256(o[at : at+n])
		copy(end[32:], sum[:])
	}
	binary.BigEndian.PutUint64(end[64:], uint64(len(o)))
	sum := sha256.Sum256(end[:96])
	copy(end[96:], sum[:])
	return o
}

// FuzzParseRun takes any run block, its digest right: what is accepted encodes to the same run.
func FuzzParseRun(f *testing.F) {
	object, _, infos := small(f)
	for _, i := range infos {
		f.Add(object[i.Block.Position : i.Block.Position+int64(i.Block.Length)])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		block := Block{Position: 1 << 30, Length: int32(len(raw)), SHA256: sha256.Sum256(raw)}
		run, err := ParseRun(raw, block)
		if err != nil {
			return
		}
		again := appendBlock(nil, run)
		if _, err := ParseRun(again, Block{Position: 1 << 30, Length: int32(len(again)), SHA256: sha256.Sum256(again)}); err != nil {
			t.Fatalf("re-encoded: %v", err)
		}
	})
}

// FuzzOpenFrame takes any stored bytes, their digest right.
func FuzzOpenFrame(f *testing.F) {
	b := plain(f, 10, 3)
	f.Add(b.raw, int32(b.Len()), uint8(0), int64(10), int64(13), int64(3))
	packed := zipped(f, 4, b.raw)
	f.Add(packed, int32(b.Len()), uint8(4), int64(10), int64(13), int64(3))
	f.Fuzz(func(t *testing.T, stored []byte, length int32, codec uint8, base, end, records int64) {
		frame := Frame{Position: headerLen, Length: int32(len(stored)), RawLength: min(length, fuzzLimit), Codec: codec,
			SHA256: sha256.Sum256(stored), BaseOffset: base, EndOffset: end, Records: records,
			MinTimestamp: 1700000000000, MaxTimestamp: 1700000000002}
		raw, err := OpenFrame(nil, stored, frame)
		if err == nil && len(raw) != int(frame.RawLength) {
			t.Fatalf("%d bytes of %d", len(raw), frame.RawLength)
		}
	})
}

// FuzzSplitBatch takes any bytes: what is split off joins to what was given.
func FuzzSplitBatch(f *testing.F) {
	f.Add(plain(f, 10, 3).raw)
	f.Add(marker(f, 10, 3, 1).raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, rest, err := SplitBatch(raw)
		if err != nil {
			return
		}
		if b.EndOffset() <= b.BaseOffset() || int64(b.Records()) > b.EndOffset()-b.BaseOffset() || b.Len()+len(rest) != len(raw) {
			t.Fatalf("offsets %d to %d, %d records, %d bytes", b.BaseOffset(), b.EndOffset(), b.Records(), b.Len())
		}
		_ = b.CheckCRC()
		_, _ = b.ControlType()
		if _, err := ParseBatch(b.ForProduce(nil, 1, 2, 3)); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzDecodeBatch takes any batch: what is decoded encodes to the same records.
func FuzzDecodeBatch(f *testing.F) {
	for i, c := range codecs() {
		f.Add(encode(f, int64(i), c, &kgo.Record{Key: []byte("k"), Headers: []kgo.RecordHeader{{Key: "h"}}, Offset: int64(i) + 2}).raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, _, err := SplitBatch(raw)
		if err != nil {
			return
		}
		rs, err := DecodeBatch(b, fuzzLimit)
		if err != nil || len(rs) == 0 {
			return
		}
		again, err := AppendBatch(nil, b.BaseOffset(), kgo.NoCompression(), rs...)
		if err != nil {
			if rs[len(rs)-1].Offset == 0 && len(rs) == 1 {
				return
			}
			t.Fatal(err)
		}
		got, err := DecodeBatch(Batch{again}, 0)
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
	f.Add(old(old(nil, 0, 0, 7, 0, []byte("k"), nil), 1, 1, 9, 0, nil, zipped(f, 1, inner)))
	f.Add(old(nil, 1, 2, 9, 0, nil, zipped(f, 2, inner)))
	f.Add(append(old(nil, 1, 0, 7, 0, nil, nil), plain(f, 8, 1).raw...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		out, err := ConvertLegacy(raw)
		if err != nil {
			return
		}
		for _, err := range Batches(out) {
			if err != nil && len(out) >= 17 && out[16] == 2 {
				t.Fatal(err)
			}
		}
	})
}

// FuzzAppendBatchRoundTrip takes any record.
func FuzzAppendBatchRoundTrip(f *testing.F) {
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
		raw, err := AppendBatch(nil, base, codecs()[codec%5], rs...)
		if err != nil {
			return
		}
		b, err := ParseBatch(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeBatch(b, 0)
		if err != nil || b.CheckCRC() != nil || !sameRecords(rs, got) {
			t.Fatalf("other records: %v", err)
		}
	})
}
