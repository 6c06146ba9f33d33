package copyops

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// attrDeleteHorizon marks a batch that the cleaner rewrote; its first
// timestamp field is then the time when its tombstones may go.
const attrDeleteHorizon = 0x40

// raw says whether a batch can be produced as it is.
func (f *Filter) raw(b batch.Batch) bool {
	return f.Edit == nil &&
		!f.late(b.MaxTimestamp()) &&
		!b.LogAppendTime() &&
		int64(b.Records()) == b.EndOffset()-b.BaseOffset() &&
		binary.BigEndian.Uint16(b.Raw()[21:])&attrDeleteHorizon == 0
}

// dense decodes a batch, drops what is outside [from, to) or filtered, and
// re-encodes the rest as pieces without holes.
func (s *Stream) dense(b batch.Batch, from, to int64) error {
	rs, err := Visible(b, &s.filter, from, to, &s.lastLate)
	if err != nil {
		return err
	}
	// All pieces share one buffer, which may move while it grows: cut it up at the end.
	s.pieces, s.buf = s.pieces[:0], s.buf[:0]
	var lengths []int
	for len(rs) > 0 {
		n := denseLen(rs)
		if err := s.encode(b, rs[:n], &lengths); err != nil {
			return fmt.Errorf("re-encode batch at %d: %w", b.BaseOffset(), err)
		}
		rs = rs[n:]
	}
	at := 0
	for i, n := range lengths {
		piece, err := batch.Parse(s.buf[at : at+n : at+n])
		if err != nil {
			return fmt.Errorf("re-encode batch at %d: %w", b.BaseOffset(), err)
		}
		s.pieces[i].Batch = piece
		at += n
	}
	return nil
}

// encode appends dense records as one piece, or as two halves each where it is too long for the
// target.
func (s *Stream) encode(b batch.Batch, rs []*kgo.Record, lengths *[]int) error {
	had := len(s.buf)
	buf, err := batch.Append(s.buf, rs[0].Offset, CodecOf(b), rs...)
	if err != nil {
		return err
	}
	if n := len(rs); s.filter.MaxBatch > 0 && len(buf)-had > s.filter.MaxBatch && n > 1 {
		s.buf = buf[:had]
		if err := s.encode(b, rs[:n/2], lengths); err != nil {
			return err
		}
		return s.encode(b, rs[n/2:], lengths)
	}
	s.buf = buf
	*lengths = append(*lengths, len(buf)-had)
	s.pieces = append(s.pieces, Op{Base: rs[0].Offset, End: rs[len(rs)-1].Offset + 1, Records: int64(len(rs))})
	return nil
}

// denseLen is how many records at the front have no hole between them.
func denseLen(rs []*kgo.Record) int {
	n := 1
	for n < len(rs) && rs[n].Offset == rs[n-1].Offset+1 {
		n++
	}
	return n
}

// Visible decodes the records of a batch that lie in [from, to) and pass the
// filter, as a consumer sees them. late becomes the offset of the last one
// that until cut off.
func Visible(b batch.Batch, f *Filter, from, to int64, late *int64) ([]*kgo.Record, error) {
	rs, err := batch.Decode(b, 0)
	if err != nil {
		return nil, err
	}
	keep := rs[:0]
	for _, r := range rs {
		if r.Offset < from || r.Offset >= to {
			continue
		}
		ok, cut := f.keep(b, r)
		if cut {
			*late = r.Offset
		}
		if ok {
			keep = append(keep, r)
		}
	}
	return keep, nil
}

// keep applies the filter to a record; cut says that it was until.
func (f *Filter) keep(b batch.Batch, r *kgo.Record) (ok, cut bool) {
	if b.LogAppendTime() {
		r.Timestamp = time.UnixMilli(b.MaxTimestamp())
	}
	if f.late(r.Timestamp.UnixMilli()) {
		return false, true
	}
	if f.Edit == nil {
		return true, false
	}
	offset := r.Offset
	r.Topic, r.Partition = f.Topic, f.Partition
	ok = f.Edit(r)
	r.Offset = offset
	return ok, false
}

// CodecOf is the batch's compression, for its pieces.
func CodecOf(b batch.Batch) kgo.CompressionCodec {
	switch b.Codec() {
	case 1:
		return kgo.GzipCompression()
	case 2:
		return kgo.SnappyCompression()
	case 3:
		return kgo.Lz4Compression()
	case 4:
		return kgo.ZstdCompression()
	}
	return kgo.NoCompression()
}
