package restore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/segment"
)

// history is an archived partition, made up.
type history struct {
	start, end int64
	batches    []storedBatch
}

type storedBatch struct {
	raw     []byte
	aborted bool
}

// source yields a history's batches as a cursor does: from the one that holds from.
type source struct {
	h         history
	from, end int64
	i         int
}

func (s *source) Next() (segment.Batch, bool, error) {
	for s.i < len(s.h.batches) {
		st := s.h.batches[s.i]
		s.i++
		b, err := segment.ParseBatch(st.raw)
		if err != nil {
			return b, false, err
		}
		if b.EndOffset() <= s.from {
			continue
		}
		if b.BaseOffset() >= s.end {
			break
		}
		// A batch is valid until the next call only: hand out bytes that are overwritten then.
		b, err = segment.ParseBatch(bytes.Clone(st.raw))
		return b, st.aborted, err
	}
	return segment.Batch{}, false, io.EOF
}

func (s *source) Close() {}

// setAttributes sets bits of a batch's attributes and its CRC.
func setAttributes(raw []byte, bits uint16) {
	binary.BigEndian.PutUint16(raw[21:], binary.BigEndian.Uint16(raw[21:])|bits)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
}

// emptyBatch is what the cleaner keeps of a batch for its producer's sake.
func emptyBatch(t testing.TB, base int64, delta int32) []byte {
	t.Helper()
	raw, err := segment.AppendBatch(nil, base, kgo.NoCompression(), rows(base, 1)...)
	if err != nil {
		t.Fatal(err)
	}
	raw = raw[:segment.HeaderSize]
	binary.BigEndian.PutUint32(raw[8:], segment.HeaderSize-12)
	binary.BigEndian.PutUint32(raw[57:], 0)
	setLast(raw, delta)
	return raw
}

// setLast makes a batch cover offsets to last, as one whose last records were compacted away.
func setLast(raw []byte, delta int32) {
	binary.BigEndian.PutUint32(raw[23:], uint32(delta))
	setAttributes(raw, 0)
}

var codecs = []kgo.CompressionCodec{
	kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
}

// randomHistory has every kind of batch and hole.
func randomHistory(t testing.TB, r *rand.Rand) history {
	t.Helper()
	next := r.Int64N(3) * 1000
	h := history{start: next}
	for range 1 + r.IntN(12) {
		if r.IntN(4) == 0 {
			next += 1 + r.Int64N(9)
		}
		raw, end, aborted := randomBatch(t, r, next)
		h.batches = append(h.batches, storedBatch{raw, aborted})
		next = end
	}
	h.end = next + r.Int64N(2)*r.Int64N(5)
	if r.IntN(3) == 0 { // the log start lies anywhere
		h.start += r.Int64N(h.end - h.start + 1)
	}
	return h
}

func randomBatch(t testing.TB, r *rand.Rand, base int64) (raw []byte, end int64, aborted bool) {
	t.Helper()
	n := 1 + r.Int64N(8)
	var rs []*kgo.Record
	for i := range n {
		if r.IntN(6) == 0 && r.IntN(2) == 0 {
			continue
		}
		rs = append(rs, &kgo.Record{
			Offset: base + i, Timestamp: time.UnixMilli(1000 + r.Int64N(100)),
			Key: []byte(fmt.Sprint("k", r.IntN(5))), Value: []byte(fmt.Sprint("v", base+i)),
			Headers: []kgo.RecordHeader{{Key: "h", Value: nil}},
		})
	}
	if len(rs) == 0 {
		raw := emptyBatch(t, base, int32(n-1))
		return raw, base + n, false
	}
	raw, err := segment.AppendBatch(nil, base, codecs[r.IntN(len(codecs))], rs...)
	if err != nil {
		t.Fatal(err)
	}
	if r.IntN(3) == 0 {
		setLast(raw, int32(n-1))
	}
	b, err := segment.ParseBatch(raw)
	if err != nil {
		t.Fatal(err)
	}
	switch r.IntN(10) {
	case 0:
		setAttributes(raw, 0x08)
	case 1:
		setAttributes(raw, 0x10)
		aborted = true
	case 2:
		setAttributes(raw, 0x10)
	case 3:
		setAttributes(raw, 0x40)
	case 4:
		if len(rs) == 1 && n == 1 {
			setAttributes(raw, 0x30)
		}
	}
	return raw, b.EndOffset(), aborted
}

// place is what is expected at one offset.
type place struct {
	Offset     int64
	Hole       bool
	Timestamp  int64
	Key, Value string
	Headers    int
}

func randomFilter(r *rand.Rand) filter {
	f := filter{topic: "t"}
	switch r.IntN(4) {
	case 0:
		f.until = time.UnixMilli(1000 + r.Int64N(110))
	case 1:
		f.edit = func(rec *kgo.Record) bool {
			rec.Key = []byte("masked")
			return rec.Offset%3 != 0
		}
	case 2:
		f.maxBatch = 90
	}
	return f
}

// expected is the plain model of what ops must amount to.
func expected(t testing.TB, h history, f filter) (places []place, end int64) {
	t.Helper()
	at := map[int64]place{}
	lastLate, lastKept := int64(-1), h.start-1
	for _, st := range h.batches {
		b, err := segment.ParseBatch(st.raw)
		if err != nil {
			t.Fatal(err)
		}
		if b.Control() || st.aborted {
			continue
		}
		rs, err := segment.DecodeBatch(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if r.Offset < h.start || r.Offset >= h.end {
				continue
			}
			if b.LogAppendTime() {
				r.Timestamp = time.UnixMilli(b.MaxTimestamp())
			}
			if !f.until.IsZero() && r.Timestamp.After(f.until) {
				lastLate = r.Offset
				continue
			}
			if f.edit != nil && !f.edit(r) {
				continue
			}
			lastKept = r.Offset
			at[r.Offset] = place{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: string(r.Key), Value: string(r.Value), Headers: len(r.Headers)}
		}
	}
	end = h.end
	if lastLate > lastKept {
		end = lastKept + 1
	}
	for o := h.start; o < end; o++ {
		p, ok := at[o]
		if !ok {
			p = place{Offset: o, Hole: true}
		}
		places = append(places, p)
	}
	return places, end
}

// play runs a stream and checks the shape of its ops.
func play(t testing.TB, h history, f filter, from int64) []place {
	t.Helper()
	s := newOpStream(&source{h: h, from: from, end: h.end}, f, from, h.end)
	defer s.Close()
	var places []place
	hole := false
	for {
		o, err := s.Next()
		if errors.Is(err, io.EOF) {
			return places
		}
		if err != nil {
			t.Fatal(err)
		}
		if o.base != from || o.end <= o.base {
			t.Fatalf("op [%d,%d) after %d", o.base, o.end, from)
		}
		from = o.end
		if o.hole() {
			if hole {
				t.Fatalf("two holes in a row at %d", o.base)
			}
			hole = true
			for x := o.base; x < o.end; x++ {
				places = append(places, place{Offset: x, Hole: true})
			}
			continue
		}
		hole = false
		places = append(places, playBatch(t, o)...)
	}
}

func playBatch(t testing.TB, o op) []place {
	t.Helper()
	b := o.batch
	if b.BaseOffset() != o.base || b.EndOffset() != o.end || int64(b.Records()) != o.end-o.base || o.records != o.end-o.base {
		t.Fatalf("op [%d,%d) with %d records holds a batch [%d,%d) of %d", o.base, o.end, o.records, b.BaseOffset(), b.EndOffset(), b.Records())
	}
	if b.Control() || b.LogAppendTime() || binary.BigEndian.Uint16(b.Raw()[21:])&attrDeleteHorizon != 0 {
		t.Fatalf("a batch that can't be produced, at %d", o.base)
	}
	if err := b.CheckCRC(); err != nil {
		t.Fatal(err)
	}
	rs, err := segment.DecodeBatch(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	var places []place
	for i, r := range rs {
		if r.Offset != o.base+int64(i) {
			t.Fatalf("record at %d, want %d", r.Offset, o.base+int64(i))
		}
		places = append(places, place{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: string(r.Key), Value: string(r.Value), Headers: len(r.Headers)})
	}
	return places
}

// From every offset, whatever the history and the filter, the ops amount to the same suffix.
func TestOpsOfRandomHistories(t *testing.T) {
	runs := 40
	if os.Getenv("KAFKADR_LONG") != "" {
		runs = 1000
	}
	for seed := range runs {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		h, f := randomHistory(t, r), randomFilter(r)
		want, end := expected(t, h, f)
		for from := h.start; from <= end; from++ {
			got := play(t, h, f, from)
			if diff := cmp.Diff(want[from-h.start:], got, cmp.Transformer("empty", func(p []place) []place { return append([]place{}, p...) })); diff != "" {
				t.Fatalf("seed %d from %d: (-want +got)\n%s", seed, from, diff)
			}
		}
	}
}

// What can be produced as it is stays raw.
func TestOpsKeepBatchesRaw(t *testing.T) {
	var h history
	for i := range int64(5) {
		raw, err := segment.AppendBatch(nil, 10*i, codecs[i], rows(10*i, 10)...)
		if err != nil {
			t.Fatal(err)
		}
		h.batches = append(h.batches, storedBatch{raw: raw})
	}
	h.end = 50
	for _, f := range []filter{{}, {until: time.UnixMilli(5000)}} {
		s := newOpStream(&source{h: h, end: h.end}, f, 0, h.end)
		for i := range h.batches {
			o, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(o.batch.Raw(), h.batches[i].raw) {
				t.Errorf("batch %d was changed", i)
			}
		}
		if s.archived != 50 {
			t.Errorf("passed %d records, want 50", s.archived)
		}
	}
}

// Errors of the source and damaged batches end the stream; nothing of the batch comes out.
func TestOpsErrors(t *testing.T) {
	raw, err := segment.AppendBatch(nil, 0, kgo.ZstdCompression(), rows(0, 10)...)
	if err != nil {
		t.Fatal(err)
	}
	for i := segment.HeaderSize; i < len(raw); i++ {
		raw[i] ^= 0x5a
	}
	h := history{end: 10, batches: []storedBatch{{raw: raw}}}
	s := newOpStream(&source{h: h, end: 10}, filter{}, 3, 10)
	if o, err := s.Next(); err == nil {
		t.Errorf("op %v of a damaged batch", o)
	}
}

func rows(base int64, n int) []*kgo.Record {
	var rs []*kgo.Record
	for i := range int64(n) {
		rs = append(rs, &kgo.Record{Offset: base + i, Timestamp: time.UnixMilli(2000 + i), Value: []byte("value")})
	}
	return rs
}
