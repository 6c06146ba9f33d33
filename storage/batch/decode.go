package batch

import (
	"encoding/binary"
	"time"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
)

// DefaultMaxDecode is what [Decode] decompresses at most, in bytes,
// where no limit is given.
const DefaultMaxDecode = 256 << 20

// Least lengths of a record and of a header, in bytes.
const (
	minRecord = 7
	minHeader = 2
)

// Decode decodes the batch's records: offsets, timestamps, leader epochs
// and producer ids as stored, control records included (check
// Attrs.IsControl), whether aborted or not. Records of a batch that the broker
// stamped have its stamp. Topic and Partition are the caller's to fill in.
//
// The records share memory with each other and not with the batch. It never
// makes more than limit bytes of decompressed records (0: DefaultMaxDecode);
// beyond is [ErrTooLarge]. Errors are *[Error]. The CRC isn't checked.
//
// kgo's decoder isn't used because it takes timestamps that fit an int64 of
// nanoseconds only, trusts counts, and calls a cut record the end.
func Decode(b Batch, limit int) ([]*kgo.Record, error) {
	if limit <= 0 {
		limit = DefaultMaxDecode
	}
	fail := func(reason string, err error) ([]*kgo.Record, error) {
		return nil, &Error{BaseOffset: b.BaseOffset(), Reason: reason, Err: err}
	}
	raw, err := decompress(b.Codec(), b.raw[HeaderSize:], limit)
	if err != nil {
		return fail("records can't be decompressed", err)
	}
	n := int(b.Records())
	if n > len(raw)/minRecord {
		return fail("more records than its bytes can hold", nil)
	}
	slab, records := make([]kgo.Record, n), make([]*kgo.Record, n)
	next := b.BaseOffset()
	for i := range slab {
		r := &slab[i]
		rest, ok := b.decodeRecord(r, raw)
		if !ok {
			return fail("malformed record", nil)
		}
		if r.Offset < next || r.Offset >= b.EndOffset() {
			return fail("record offset out of order", nil)
		}
		records[i], raw, next = r, rest, r.Offset+1
	}
	if len(raw) != 0 {
		return fail("bytes behind the last record", nil)
	}
	return records, nil
}

// decodeRecord decodes the first record of raw:
//
//	length varint, attributes int8, timestamp delta varlong, offset delta varint,
//	key and value behind varint lengths (-1: null), varint number of headers,
//	each a key and a value likewise
func (b Batch) decodeRecord(r *kgo.Record, raw []byte) (rest []byte, ok bool) {
	length, used := kbin.Varint(raw)
	if used <= 0 || length < 0 || int64(length) > int64(len(raw)-used) {
		return nil, false
	}
	end := used + int(length)
	p := kbin.Reader{Src: raw[used:end:end]}
	p.Int8() // no attribute is defined
	timestamp := b.FirstTimestamp() + p.Varlong()
	if b.LogAppendTime() {
		timestamp = b.MaxTimestamp()
	}
	r.Timestamp = time.UnixMilli(timestamp)
	r.Offset = b.BaseOffset() + int64(p.Varint())
	r.Key = p.VarintBytes()
	r.Value = p.VarintBytes()
	n := p.Varint()
	if n < 0 || int(n) > len(p.Src)/minHeader {
		return nil, false
	}
	if n > 0 {
		r.Headers = make([]kgo.RecordHeader, n)
	}
	for i := range r.Headers {
		length := p.Varint()
		r.Headers[i] = kgo.RecordHeader{Key: string(p.Span(int(length))), Value: p.VarintBytes()}
	}
	r.Attrs = b.attrs()
	r.ProducerID, r.ProducerEpoch, r.LeaderEpoch = b.ProducerID(), b.ProducerEpoch(), b.LeaderEpoch()
	return raw[end:], p.Ok() && len(p.Src) == 0
}

func (b Batch) attrs() kgo.RecordAttrs {
	o := kgo.RecordAttrsOpts{Codec: kgo.CompressionCodecType(b.Codec()), Transactional: b.Transactional(), Control: b.Control()}
	if b.LogAppendTime() {
		o.TimestampType = 1
	}
	return kgo.NewRecordAttrs(o)
}

// ControlType is the type of a control batch's marker: 0 abort, 1 commit.
// A control batch that the cleaner kept empty has none: a *[Error].
func (b Batch) ControlType() (int16, error) {
	if !b.Control() {
		return 0, &Error{BaseOffset: b.BaseOffset(), Reason: "not a control batch"}
	}
	rs, err := Decode(b, 1<<20)
	if err != nil {
		return 0, err
	}
	if len(rs) == 0 || len(rs[0].Key) < 4 {
		return 0, &Error{BaseOffset: b.BaseOffset(), Reason: "no marker in the control batch"}
	}
	return int16(binary.BigEndian.Uint16(rs[0].Key[2:])), nil
}
