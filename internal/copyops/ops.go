package copyops

import (
	"errors"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// An Op is the next thing to do to a target partition: append a batch, or, where the batch is the
// zero one, leave a hole. Ops are dense: each begins where the one before it ends.
type Op struct {
	// Batch is to be appended as it is. Valid until the stream's next call.
	Batch batch.Batch
	// Whole says that it is the source's own, not encoded anew.
	Whole bool
	// Base and End are the offsets it covers.
	Base, End int64
	// Records are as many as offsets, or 0.
	Records int64
}

// Hole says that offsets without a record follow.
func (o Op) Hole() bool { return o.Records == 0 }

// Source yields a log's batches in offset order, then io.EOF. aborted says that a batch's
// transaction was. A batch is valid until the next call.
type Source interface {
	Next() (b batch.Batch, aborted bool, err error)
	Close()
}

// Filter says what becomes of visible records. The zero value leaves all as they are.
type Filter struct {
	// Topic and Partition are the source's, for Edit.
	Topic     string
	Partition int32
	// Until cuts off what is later; zero: nothing.
	Until time.Time
	// Edit may change a record but for its offset; false makes it a hole.
	Edit func(*kgo.Record) bool
	// MaxBatch splits re-encoded batches that are longer; 0: never.
	MaxBatch int
}

// Filtered says that the filter looks at records.
func (f *Filter) Filtered() bool { return f.Edit != nil || !f.Until.IsZero() }

// late says whether until cuts a timestamp off.
func (f *Filter) late(millis int64) bool {
	return !f.Until.IsZero() && millis > f.Until.UnixMilli()
}

// Stream turns batches into ops, lazily: control and aborted
// batches, gaps and filtered records become holes, adjacent ones merged; what a
// broker wouldn't take as it is, is decoded and re-encoded into dense pieces.
// From whatever position it starts, it yields the same suffix.
type Stream struct {
	src    Source
	filter Filter
	// next is the first offset no op covers, holes that are still growing aside: those begin at
	// hole.
	hole, next int64
	end        int64
	lastLate   int64 // the highest offset that until cut off, or -1
	pieces     []Op  // of the batch in hand, without holes
	batchEnd   int64 // the batch in hand ends here
	done       bool
	buf        []byte
	// passed counts the records of the source that were passed, hidden ones included.
	passed int64
}

// New streams the ops of [from, end). The source begins at the batch that holds from, or behind it.
func New(src Source, f Filter, from, end int64) *Stream {
	return &Stream{src: src, filter: f, hole: from, next: from, end: end, batchEnd: from, lastLate: -1}
}

// Passed is how many records of the source were passed, hidden ones included.
func (s *Stream) Passed() int64 { return s.passed }

// Close releases the source.
func (s *Stream) Close() { s.src.Close() }

// Next returns the next Op, or io.EOF; its batch is valid until the next call.
func (s *Stream) Next() (Op, error) {
	for {
		switch {
		case len(s.pieces) > 0:
			return s.emit(), nil
		case s.batchEnd > s.next: // what is left of the batch is hidden
			s.next = s.batchEnd
		case s.done || s.next >= s.end:
			return s.last()
		default:
			if err := s.fill(); err != nil {
				return Op{}, err
			}
		}
	}
}

// emit returns the hole in front of the next piece, or the piece.
func (s *Stream) emit() Op {
	p := s.pieces[0]
	s.next = p.Base
	if s.hole < s.next {
		o := Op{Base: s.hole, End: s.next}
		s.hole = s.next
		return o
	}
	s.pieces = s.pieces[1:]
	s.hole, s.next = p.End, p.End
	return p
}

// last returns the trailing hole, unless until cuts it off.
func (s *Stream) last() (Op, error) {
	s.done = true
	if s.lastLate >= s.hole {
		s.end = s.hole
	}
	if s.hole >= s.end {
		return Op{}, io.EOF
	}
	o := Op{Base: s.hole, End: s.end}
	s.hole, s.next = s.end, s.end
	return o, nil
}

// fill takes the next batch apart, or ends the stream.
func (s *Stream) fill() error {
	b, aborted, err := s.src.Next()
	if errors.Is(err, io.EOF) {
		s.done = true
		return nil
	}
	if err != nil {
		return err
	}
	from := max(b.BaseOffset(), s.next)
	to := min(b.EndOffset(), s.end)
	if from >= to {
		return nil
	}
	s.passed += int64(b.Records())
	s.batchEnd = to
	if aborted || b.Control() || b.Records() == 0 {
		return nil
	}
	if from == b.BaseOffset() && to == b.EndOffset() && s.filter.raw(b) {
		s.pieces = append(s.pieces[:0], Op{Batch: b, Whole: true, Base: from, End: to, Records: int64(b.Records())})
		return nil
	}
	return s.dense(b, from, to)
}
