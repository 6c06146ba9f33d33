package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Append appends to dst one batch of magic 2 that holds rs, from base
// offset base, compressed by codec. Records' Offset gives their place: it must
// be ascending and at least base (all zero: base, base+1, …); offsets between
// them become holes inside the batch. Timestamps are taken from Timestamp, in
// milliseconds, as they are: time.UnixMilli(-1) is Kafka's "no timestamp", and
// the zero Time is the year 1. The batch has no producer, leader epoch -1 and
// type CreateTime. Errors are *[Error].
func Append(dst []byte, base int64, codec kgo.CompressionCodec, rs ...*kgo.Record) ([]byte, error) {
	fail := func(reason string, err error) ([]byte, error) {
		return dst, &Error{BaseOffset: base, Reason: reason, Err: err}
	}
	if len(rs) == 0 || base < 0 {
		return fail("no records, or a negative offset", nil)
	}
	raw, last, err := appendRecords(nil, base, rs)
	if err != nil {
		return fail("records can't be encoded", err)
	}
	raw, attributes, err := compress(raw, codec)
	if err != nil {
		return fail("records can't be compressed", err)
	}
	if len(raw) > math.MaxInt32-HeaderSize {
		return fail("longer than 2 GiB", nil)
	}
	first, latest := rs[0].Timestamp.UnixMilli(), int64(math.MinInt64)
	for _, r := range rs {
		latest = max(latest, r.Timestamp.UnixMilli())
	}
	start := len(dst)
	dst = slices.Grow(dst, HeaderSize+len(raw))
	dst = binary.BigEndian.AppendUint64(dst, uint64(base))
	dst = binary.BigEndian.AppendUint32(dst, uint32(HeaderSize-12+len(raw)))
	dst = binary.BigEndian.AppendUint32(dst, math.MaxUint32) // leader epoch -1
	dst = append(dst, 2, 0, 0, 0, 0)                         // magic, CRC
	dst = binary.BigEndian.AppendUint16(dst, attributes)
	dst = binary.BigEndian.AppendUint32(dst, uint32(last))
	dst = binary.BigEndian.AppendUint64(dst, uint64(first))
	dst = binary.BigEndian.AppendUint64(dst, uint64(latest))
	dst = binary.BigEndian.AppendUint64(dst, math.MaxUint64) // producer id -1
	dst = binary.BigEndian.AppendUint16(dst, math.MaxUint16) // producer epoch -1
	dst = binary.BigEndian.AppendUint32(dst, math.MaxUint32) // base sequence -1
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(rs)))
	dst = append(dst, raw...)
	sign(dst[start:])
	return dst, nil
}

// sign writes the batch's CRC.
func sign(batch []byte) {
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], castagnoli))
}

// appendRecords encodes the records and returns the last one's offset delta.
func appendRecords(dst []byte, base int64, rs []*kgo.Record) ([]byte, int32, error) {
	dense := true
	for _, r := range rs {
		dense = dense && r.Offset == 0
	}
	total := 0
	for i, r := range rs {
		n := atMost(r)
		if n > math.MaxInt32 || total > math.MaxInt32 {
			return nil, 0, fmt.Errorf("record %d is longer than 2 GiB, or all are", i)
		}
		total += int(n)
	}
	dst = slices.Grow(dst, total)
	first, last := rs[0].Timestamp.UnixMilli(), int64(-1)
	var scratch []byte
	for i, r := range rs {
		delta := r.Offset - base
		if dense {
			delta = int64(i)
		}
		if delta <= last || delta > math.MaxInt32 || base >= math.MaxInt64-delta {
			return nil, 0, fmt.Errorf("offset %d of record %d out of order or range", r.Offset, i)
		}
		last = delta
		scratch = appendRecord(scratch[:0], r, r.Timestamp.UnixMilli()-first, int32(delta))
		dst = kbin.AppendVarint(dst, int32(len(scratch)))
		dst = append(dst, scratch...)
	}
	return dst, int32(last), nil
}

// appendRecord encodes what follows a record's length; see decodeRecord.
func appendRecord(dst []byte, r *kgo.Record, timestampDelta int64, offsetDelta int32) []byte {
	dst = append(dst, 0)
	dst = kbin.AppendVarlong(dst, timestampDelta)
	dst = kbin.AppendVarint(dst, offsetDelta)
	dst = kbin.AppendVarintBytes(dst, r.Key)
	dst = kbin.AppendVarintBytes(dst, r.Value)
	dst = kbin.AppendVarint(dst, int32(len(r.Headers)))
	for _, h := range r.Headers {
		dst = kbin.AppendVarintString(dst, h.Key)
		dst = kbin.AppendVarintBytes(dst, h.Value)
	}
	return dst
}

// atMost is what a record takes at most, in bytes.
func atMost(r *kgo.Record) int64 {
	n := int64(len(r.Key)) + int64(len(r.Value)) + 40
	for _, h := range r.Headers {
		n += int64(len(h.Key)) + int64(len(h.Value)) + 10
	}
	return n
}

// compressors are kgo's, by codec: making one costs more than its use.
var compressors sync.Map

func compressor(codec kgo.CompressionCodec) (kgo.Compressor, error) {
	if c, ok := compressors.Load(codec); ok {
		known, _ := c.(kgo.Compressor)
		return known, nil
	}
	c, err := kgo.DefaultCompressor(codec)
	if err == nil && c != nil {
		compressors.Store(codec, c)
	}
	return c, err
}

// compress returns what records compress to and the attributes that say how.
func compress(raw []byte, codec kgo.CompressionCodec) ([]byte, uint16, error) {
	c, err := compressor(codec)
	if err != nil || c == nil {
		return raw, 0, err
	}
	out, used := c.Compress(new(bytes.Buffer), raw)
	if used == kgo.CodecError {
		return nil, 0, errors.New("compressor failed")
	}
	return out, uint16(used), nil
}

// ForProduce appends to dst a copy of the batch as a producer sends it: base
// offset 0, leader epoch -1, the given producer id, epoch and base sequence,
// no attribute but the codec. Its CRC follows from the batch's own: a wrong
// one stays wrong, for the broker to refuse. A batch with holes inside or with
// LogAppendTime can't be sent so; that is the caller's to see to.
func (b Batch) ForProduce(dst []byte, producerID int64, epoch int16, sequence int32) []byte {
	start := len(dst)
	dst = append(dst, b.raw...)
	Batch{dst[start:]}.Readdress(producerID, epoch, sequence)
	return dst
}

// Readdress does what [Batch.ForProduce] does to the bytes that the batch
// aliases, and returns them. They must be the caller's alone.
func (b Batch) Readdress(producerID int64, epoch int16, sequence int32) []byte {
	out, was := b.raw, headerSum(b.raw)
	binary.BigEndian.PutUint64(out, 0)
	binary.BigEndian.PutUint32(out[12:], math.MaxUint32)
	binary.BigEndian.PutUint16(out[21:], b.attributes()&attrCodecMask)
	binary.BigEndian.PutUint64(out[43:], uint64(producerID))
	binary.BigEndian.PutUint16(out[51:], uint16(epoch))
	binary.BigEndian.PutUint32(out[53:], uint32(sequence))
	resum(out, was)
	return out
}
