// Package opstest has logs with every kind of batch and hole, and the plain model of what a
// consumer sees of them.
package opstest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// History is a partition's log, made up.
type History struct {
	// Start and End are the log start offset and the end.
	Start, End int64
	Batches    []Batch
}

// Batch is a batch as the source had it.
type Batch struct {
	Raw     []byte
	Aborted bool
}

// source yields a history's batches as a cursor does: from the one that holds from.
type source struct {
	h         History
	from, end int64
	i         int
}

// Source yields the batches of [from, end), beginning with the one that holds from.
func (h History) Source(from, end int64) copyops.Source { return &source{h: h, from: from, end: end} }

func (s *source) Next() (batch.Batch, bool, error) {
	for s.i < len(s.h.Batches) {
		st := s.h.Batches[s.i]
		s.i++
		b, err := batch.Parse(st.Raw)
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
		b, err = batch.Parse(bytes.Clone(st.Raw))
		return b, st.Aborted, err
	}
	return batch.Batch{}, false, io.EOF
}

func (s *source) Close() {}

// SetAttributes sets bits of a batch's attributes and its CRC.
func SetAttributes(raw []byte, bits uint16) {
	binary.BigEndian.PutUint16(raw[21:], binary.BigEndian.Uint16(raw[21:])|bits)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
}

// EmptyBatch is what the cleaner keeps of a batch for its producer's sake.
func EmptyBatch(t testing.TB, base int64, delta int32) []byte {
	t.Helper()
	raw, err := batch.Append(nil, base, kgo.NoCompression(), Rows(base, 1)...)
	if err != nil {
		t.Fatal(err)
	}
	raw = raw[:batch.HeaderSize]
	binary.BigEndian.PutUint32(raw[8:], batch.HeaderSize-12)
	binary.BigEndian.PutUint32(raw[57:], 0)
	SetLast(raw, delta)
	return raw
}

// SetLast makes a batch cover offsets to last, as one whose last records were compacted away.
func SetLast(raw []byte, delta int32) {
	binary.BigEndian.PutUint32(raw[23:], uint32(delta))
	SetAttributes(raw, 0)
}

// Codecs are all compressions.
func Codecs() []kgo.CompressionCodec {
	return []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
}

// Random has every kind of batch and hole.
func Random(t testing.TB, r *rand.Rand) History {
	t.Helper()
	next := r.Int64N(3) * 1000
	h := History{Start: next}
	for range 1 + r.IntN(12) {
		if r.IntN(4) == 0 {
			next += 1 + r.Int64N(9)
		}
		raw, end, aborted := randomBatch(t, r, next)
		h.Batches = append(h.Batches, Batch{Raw: raw, Aborted: aborted})
		next = end
	}
	h.End = next + r.Int64N(2)*r.Int64N(5)
	if r.IntN(3) == 0 { // the log start lies anywhere
		h.Start += r.Int64N(h.End - h.Start + 1)
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
		raw := EmptyBatch(t, base, int32(n-1))
		return raw, base + n, false
	}
	raw, err := batch.Append(nil, base, Codecs()[r.IntN(len(Codecs()))], rs...)
	if err != nil {
		t.Fatal(err)
	}
	if r.IntN(3) == 0 {
		SetLast(raw, int32(n-1))
	}
	b, err := batch.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	switch r.IntN(10) {
	case 0:
		SetAttributes(raw, 0x08)
	case 1:
		SetAttributes(raw, 0x10)
		aborted = true
	case 2:
		SetAttributes(raw, 0x10)
	case 3:
		SetAttributes(raw, 0x40)
	case 4:
		if len(rs) == 1 && n == 1 {
			SetAttributes(raw, 0x30)
		}
	}
	return raw, b.EndOffset(), aborted
}

// Place is what is expected at one offset.
type Place struct {
	Offset     int64
	Hole       bool
	Timestamp  int64
	Key, Value string
	Headers    int
}

// RandomFilter is no filter, or one of each kind.
func RandomFilter(r *rand.Rand) copyops.Filter {
	f := copyops.Filter{Topic: "t"}
	switch r.IntN(4) {
	case 0:
		f.Until = time.UnixMilli(1000 + r.Int64N(110))
	case 1:
		f.Edit = func(rec *kgo.Record) bool {
			rec.Key = []byte("masked")
			return rec.Offset%3 != 0
		}
	case 2:
		f.MaxBatch = 90
	}
	return f
}

// Expected is the plain model of what ops must amount to.
func Expected(t testing.TB, h History, f copyops.Filter) (places []Place, end int64) {
	t.Helper()
	at := map[int64]Place{}
	lastLate, lastKept := int64(-1), h.Start-1
	for _, st := range h.Batches {
		b, err := batch.Parse(st.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if b.Control() || st.Aborted {
			continue
		}
		rs, err := batch.Decode(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if r.Offset < h.Start || r.Offset >= h.End {
				continue
			}
			if b.LogAppendTime() {
				r.Timestamp = time.UnixMilli(b.MaxTimestamp())
			}
			if !f.Until.IsZero() && r.Timestamp.After(f.Until) {
				lastLate = r.Offset
				continue
			}
			if f.Edit != nil && !f.Edit(r) {
				continue
			}
			lastKept = r.Offset
			at[r.Offset] = Place{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: string(r.Key), Value: string(r.Value), Headers: len(r.Headers)}
		}
	}
	end = h.End
	if lastLate > lastKept {
		end = lastKept + 1
	}
	for o := h.Start; o < end; o++ {
		p, ok := at[o]
		if !ok {
			p = Place{Offset: o, Hole: true}
		}
		places = append(places, p)
	}
	return places, end
}

// Rows are records at consecutive offsets.
func Rows(base int64, n int) []*kgo.Record {
	var rs []*kgo.Record
	for i := range int64(n) {
		rs = append(rs, &kgo.Record{Offset: base + i, Timestamp: time.UnixMilli(2000 + i), Value: []byte("value")})
	}
	return rs
}
