package mm2

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
	"sort"

	"github.com/twmb/franz-go/pkg/kgo"
)

// scan is what a piece of the target's log holds: the offsets of its records, and whether two of
// them are equal.
type scan struct {
	from, to int64
	over     bool // it took more bytes than may be read; nothing else is known
	records  int64
	runs     []run
	// Two records that are equal, the later one being second; second is 0 where there are none.
	first, second int64
	// recurs is the offset of a record equal to the last one, -1 where there is none.
	recurs int64
}

// run is records at consecutive offsets, index being how many come before them.
type run struct{ offset, index int64 }

// scanner takes a scan's records.
type scanner struct {
	scan
	seed   maphash.Seed
	hashes []uint64
}

// scan reads [from, to) of a partition.
func (t *target) scan(ctx context.Context, topic string, partition int32, from, to, maxBytes int64) (*scan, error) {
	s := newScanner(from, to)
	err := t.read(ctx, span{topic: topic, partition: partition, from: from, to: to, isolation: kgo.ReadCommitted(), maxBytes: maxBytes}, s.add)
	if errors.Is(err, errTooLarge) {
		return &scan{from: from, to: to, over: true, recurs: -1}, nil
	}
	if err != nil {
		return nil, &TopicError{Topic: topic, Partition: partition, Err: err}
	}
	return s.done(), nil
}

func newScanner(from, to int64) *scanner {
	return &scanner{scan: scan{from: from, to: to, recurs: -1}, seed: maphash.MakeSeed()}
}

func (s *scanner) done() *scan {
	s.records = int64(len(s.hashes))
	s.compare()
	return &s.scan
}

func (s *scanner) add(r *kgo.Record) {
	n := int64(len(s.hashes))
	if last := len(s.runs) - 1; last < 0 || r.Offset != s.runs[last].offset+n-s.runs[last].index {
		s.runs = append(s.runs, run{r.Offset, n})
	}
	s.hashes = append(s.hashes, content(s.seed, r))
}

// content digests what MirrorMaker keeps of a record: equal records have equal digests. Where the
// target stamps records itself, the time isn't one of them.
func content(seed maphash.Seed, r *kgo.Record) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	if r.Attrs.TimestampType() != 1 {
		number(&h, r.Timestamp.UnixMilli())
	}
	field(&h, r.Key)
	field(&h, r.Value)
	for _, header := range r.Headers {
		field(&h, []byte(header.Key))
		field(&h, header.Value)
	}
	return h.Sum64()
}

func field(h *maphash.Hash, b []byte) {
	n := int64(len(b))
	if b == nil {
		n = -1
	}
	number(h, n)
	_, _ = h.Write(b)
}

func number(h *maphash.Hash, n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	_, _ = h.Write(b[:])
}

// compare looks for equal records.
func (s *scanner) compare() {
	if len(s.hashes) == 0 {
		return
	}
	sorted := slices.Clone(s.hashes)
	slices.Sort(sorted)
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			first := slices.Index(s.hashes, sorted[i])
			second := first + 1 + slices.Index(s.hashes[first+1:], sorted[i])
			s.first, s.second = s.offset(int64(first)), s.offset(int64(second))
			break
		}
	}
	last := len(s.hashes) - 1
	if i := slices.Index(s.hashes[:last], s.hashes[last]); i >= 0 {
		s.recurs = s.offset(int64(i))
	}
}

// repeats says that two records are equal.
func (s *scan) repeats() bool { return s.second > s.first }

// offset is the offset of the record with an index, which is below the count.
func (s *scan) offset(index int64) int64 {
	i := sort.Search(len(s.runs), func(i int) bool { return s.runs[i].index > index }) - 1
	return s.runs[i].offset + index - s.runs[i].index
}

// count is how many of the records are before an offset.
func (s *scan) count(offset int64) int64 {
	i := sort.Search(len(s.runs), func(i int) bool { return s.runs[i].offset > offset }) - 1
	if i < 0 {
		return 0
	}
	next := s.records
	if i+1 < len(s.runs) {
		next = s.runs[i+1].index
	}
	return min(next, offset-s.runs[i].offset+s.runs[i].index)
}
