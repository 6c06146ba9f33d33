package batch

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"iter"
	"math"
)

// HeaderSize is the length in bytes of a version 2 record batch's header:
// everything in front of its (possibly compressed) records.
const HeaderSize = 61

const (
	attrCodecMask     = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is one Kafka record batch of magic 2, as the broker stores it.
//
//	offset  0 base offset int64      8 length int32 (of what follows it)
//	       12 leader epoch int32    16 magic int8          17 CRC-32C uint32 of 21…end
//	       21 attributes int16      23 last offset delta int32
//	       27 first timestamp int64 35 max timestamp int64
//	       43 producer id int64     51 producer epoch int16  53 base sequence int32
//	       57 record count int32    61 records
//
// Base offset and leader epoch lie outside the CRC. The zero Batch holds
// nothing. A Batch made by [Parse] or [Split] aliases the bytes it
// was made from; its methods read them and are safe for concurrent use as
// long as nobody writes the bytes.
type Batch struct {
	raw []byte
}

// Parse takes raw as exactly one batch. It checks magic, length and the
// header's counts, and not the CRC: that is [Batch.CheckCRC]. Errors are a
// *[Error].
func Parse(raw []byte) (Batch, error) {
	b, rest, err := Split(raw)
	if err != nil {
		return Batch{}, err
	}
	if len(rest) != 0 {
		return Batch{}, &Error{BaseOffset: b.BaseOffset(), Reason: "bytes behind the batch"}
	}
	return b, nil
}

// Split takes the first batch off the front of raw and returns it and
// what follows. A raw that ends inside the batch, as the last batch of a
// fetch response may, gives [ErrShort]; other errors are a *[Error].
func Split(raw []byte) (b Batch, rest []byte, err error) {
	if len(raw) < 17 {
		return Batch{}, raw, ErrShort
	}
	base := int64(binary.BigEndian.Uint64(raw))
	if raw[16] != 2 {
		return Batch{}, raw, &Error{BaseOffset: base, Reason: "magic is not 2"}
	}
	n := int64(int32(binary.BigEndian.Uint32(raw[8:]))) + 12
	switch {
	case n < HeaderSize:
		return Batch{}, raw, &Error{BaseOffset: base, Reason: "length below a batch header's"}
	case n > math.MaxInt32:
		return Batch{}, raw, &Error{BaseOffset: base, Reason: "length beyond 2 GiB"}
	case n > int64(len(raw)):
		return Batch{}, raw, ErrShort
	}
	b = Batch{raw[:n:n]}
	delta, records := int64(b.lastOffsetDelta()), int64(b.Records())
	if base < 0 || delta < 0 || base >= math.MaxInt64-delta || records < 0 || records > delta+1 {
		return Batch{}, raw, &Error{BaseOffset: base, Reason: "offsets or record count out of range"}
	}
	return b, raw[n:], nil
}

// All yields the whole batches at the front of raw, in order. A short
// batch at the end ends the sequence without an error, as in a fetch
// response; damage is yielded as a *[Error], once, last.
func All(raw []byte) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for len(raw) > 0 {
			b, rest, err := Split(raw)
			if errors.Is(err, ErrShort) {
				return
			}
			if !yield(b, err) || err != nil {
				return
			}
			raw = rest
		}
	}
}

// Raw returns the batch's bytes, unchanged. They are shared, not copied.
func (b Batch) Raw() []byte { return b.raw }

// Len is the batch's length in bytes.
func (b Batch) Len() int { return len(b.raw) }

// BaseOffset is the offset of the batch's first record, kept when compaction
// removes that record.
func (b Batch) BaseOffset() int64 { return int64(binary.BigEndian.Uint64(b.raw)) }

// EndOffset is one past the batch's last offset: [BaseOffset, EndOffset) is
// what the batch covers, holes that compaction left inside it included.
func (b Batch) EndOffset() int64 { return b.BaseOffset() + int64(b.lastOffsetDelta()) + 1 }

// LeaderEpoch is the epoch of the partition leader that appended the batch.
func (b Batch) LeaderEpoch() int32 { return int32(binary.BigEndian.Uint32(b.raw[12:])) }

// Records is the number of records in the batch. It is below
// EndOffset-BaseOffset where compaction removed some, and may be 0.
func (b Batch) Records() int32 { return int32(binary.BigEndian.Uint32(b.raw[57:])) }

// FirstTimestamp is the timestamp, in milliseconds, of the batch's first
// record when it was written. Later records of the batch may be earlier. The
// cleaner may put the time there from which on tombstones may go (KIP-534).
func (b Batch) FirstTimestamp() int64 { return int64(binary.BigEndian.Uint64(b.raw[27:])) }

// MaxTimestamp is the largest timestamp in the batch in milliseconds; with
// [Batch.LogAppendTime], the append time of all its records.
func (b Batch) MaxTimestamp() int64 { return int64(binary.BigEndian.Uint64(b.raw[35:])) }

// Timestamps are the batch's least timestamp, as far as its header tells, and
// its largest. The field that holds the first timestamp is of no use where
// the broker stamped the batch, or where the cleaner put a delete horizon
// there (KIP-534).
func (b Batch) Timestamps() (first, last int64) {
	first, last = b.FirstTimestamp(), b.MaxTimestamp()
	if b.LogAppendTime() || b.deleteHorizon() || first > last {
		first = last
	}
	return first, last
}

// ProducerID is -1 for a batch of a producer without idempotence.
func (b Batch) ProducerID() int64 { return int64(binary.BigEndian.Uint64(b.raw[43:])) }

// ProducerEpoch belongs to ProducerID.
func (b Batch) ProducerEpoch() int16 { return int16(binary.BigEndian.Uint16(b.raw[51:])) }

// BaseSequence is the producer's sequence number of the first record.
func (b Batch) BaseSequence() int32 { return int32(binary.BigEndian.Uint32(b.raw[53:])) }

// Compressed says whether the batch's records are compressed.
func (b Batch) Compressed() bool { return b.attributes()&attrCodecMask != 0 }

// Codec is the batch's compression: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
func (b Batch) Codec() int8 { return int8(b.attributes() & attrCodecMask) }

// LogAppendTime says whether the broker stamped the batch (message.timestamp.type).
func (b Batch) LogAppendTime() bool { return b.attributes()&attrLogAppendTime != 0 }

// Transactional says whether the batch is part of a transaction.
func (b Batch) Transactional() bool { return b.attributes()&attrTransactional != 0 }

// Control says whether the batch is a control batch: a transaction marker,
// which no consumer sees.
func (b Batch) Control() bool { return b.attributes()&attrControl != 0 }

// CheckCRC computes the batch's CRC-32C and compares it. The error is a
// *[Error].
func (b Batch) CheckCRC() error {
	if crc32.Checksum(b.raw[21:], castagnoli) != binary.BigEndian.Uint32(b.raw[17:]) {
		return &Error{BaseOffset: b.BaseOffset(), Reason: "CRC-32C mismatch"}
	}
	return nil
}

func (b Batch) deleteHorizon() bool    { return b.attributes()&attrDeleteHorizon != 0 }
func (b Batch) attributes() uint16     { return binary.BigEndian.Uint16(b.raw[21:]) }
func (b Batch) lastOffsetDelta() int32 { return int32(binary.BigEndian.Uint32(b.raw[23:])) }
