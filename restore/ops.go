package restore

import (
	"errors"
	"io"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/segment"
)

// An op is the next thing to do to a target partition: append a batch, or,
// where the batch is the zero one, leave a hole. Ops are dense: each begins where the one before it ends.
type op struct {
	batch     segment.Batch
	base, end int64
	records   int64
}

func (o op) hole() bool { return o.records == 0 }

// batchSource yields archived batches in offset order, then io.EOF: a [storage.Cursor]. A batch is valid until the
// next call.
type batchSource interface {
	Next() (b segment.Batch, aborted bool, err error)
	Close()
}

// filter says what becomes of visible records.
type filter struct {
	topic     string // the source's name, for Edit
	partition int32
	until     time.Time // zero: all
	edit      func(*kgo.Record) bool
	// maxBatch splits re-encoded batches that are longer; 0: never.
	maxBatch int
}

// late says whether until cuts a timestamp off.
func (f *filter) late(millis int64) bool {
	return !f.until.IsZero() && millis > f.until.UnixMilli()
}

// opStream turns archived batches into ops, lazily: control and aborted
// batches, gaps and filtered records become holes, adjacent ones merged; what a
// broker wouldn't take as it is, is decoded and re-encoded into dense pieces.
// From whatever position it starts, it yields the same suffix.
type opStream struct {
	src    batchSource
	filter filter
	// next is the first offset no op covers, holes that are still growing aside: those begin at hole.
	hole, next int64
	end        int64
	lastLate   int64 // the highest offset that until cut off, or -1
	pieces     []op  // of the batch in hand, without holes
	batchEnd   int64 // the batch in hand ends here
	done       bool
	buf        []byte
	// archived counts the archived records that were passed, hidden ones included.
	archived int64
}

// newOpStream streams the ops of [from, end). The source begins at the batch that holds from, or behind it.
func newOpStream(src batchSource, f filter, from, end int64) *opStream {
	return &opStream{src: src, filter: f, hole: from, next: from, end: end, batchEnd: from, lastLate: -1}
}

// Close releases the source.
func (s *opStream) Close() { s.src.Close() }

// Next returns the next op, or io.EOF; its batch is valid until the next call.
func (s *opStream) Next() (op, error) {
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
				return op{}, err
			}
		}
	}
}

// emit returns the hole in front of the next piece, or the piece.
func (s *opStream) emit() op {
	p := s.pieces[0]
	s.next = p.base
	if s.hole < s.next {
		o := op{base: s.hole, end: s.next}
		s.hole = s.next
		return o
	}
	s.pieces = s.pieces[1:]
	s.hole, s.next = p.end, p.end
	return p
}

// last returns the trailing hole, unless until cuts it off.
func (s *opStream) last() (op, error) {
	s.done = true
	if s.lastLate >= s.hole {
		s.end = s.hole
	}
	if s.hole >= s.end {
		return op{}, io.EOF
	}
	o := op{base: s.hole, end: s.end}
	s.hole, s.next = s.end, s.end
	return o, nil
}

// fill takes the next batch apart, or ends the stream.
func (s *opStream) fill() error {
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
	s.archived += int64(b.Records())
	s.batchEnd = to
	if aborted || b.Control() || b.Records() == 0 {
		return nil
	}
	if from == b.BaseOffset() && to == b.EndOffset() && s.filter.raw(b) {
		s.pieces = append(s.pieces[:0], op{batch: b, base: from, end: to, records: int64(b.Records())})
		return nil
	}
	return s.dense(b, from, to)
}
