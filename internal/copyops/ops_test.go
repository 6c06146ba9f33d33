package copyops_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// play runs a stream and checks the shape of its ops.
func play(t testing.TB, h opstest.History, f copyops.Filter, from int64) []opstest.Place {
	t.Helper()
	s := copyops.New(h.Source(from, h.End), f, from, h.End)
	defer s.Close()
	var places []opstest.Place
	hole := false
	for {
		o, err := s.Next()
		if errors.Is(err, io.EOF) {
			return places
		}
		if err != nil {
			t.Fatal(err)
		}
		if o.Base != from || o.End <= o.Base {
			t.Fatalf("op [%d,%d) after %d", o.Base, o.End, from)
		}
		from = o.End
		if o.Hole() {
			if hole {
				t.Fatalf("two holes in a row at %d", o.Base)
			}
			hole = true
			for x := o.Base; x < o.End; x++ {
				places = append(places, opstest.Place{Offset: x, Hole: true})
			}
			continue
		}
		hole = false
		places = append(places, playBatch(t, o)...)
	}
}

func playBatch(t testing.TB, o copyops.Op) []opstest.Place {
	t.Helper()
	b := o.Batch
	if b.BaseOffset() != o.Base || b.EndOffset() != o.End || int64(b.Records()) != o.End-o.Base || o.Records != o.End-o.Base {
		t.Fatalf("op [%d,%d) with %d records holds a batch [%d,%d) of %d", o.Base, o.End, o.Records, b.BaseOffset(), b.EndOffset(), b.Records())
	}
	if b.Control() || b.LogAppendTime() || binary.BigEndian.Uint16(b.Raw()[21:])&0x40 != 0 {
		t.Fatalf("a batch that can't be produced, at %d", o.Base)
	}
	if err := b.CheckCRC(); err != nil {
		t.Fatal(err)
	}
	rs, err := batch.Decode(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	var places []opstest.Place
	for i, r := range rs {
		if r.Offset != o.Base+int64(i) {
			t.Fatalf("record at %d, want %d", r.Offset, o.Base+int64(i))
		}
		places = append(places, opstest.Place{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: string(r.Key), Value: string(r.Value), Headers: len(r.Headers)})
	}
	return places
}

// From every offset, whatever the history and the filter, the ops amount to the same suffix.
func TestOpsOfRandomHistories(t *testing.T) {
	testpass.NoRaces(t)
	runs := 40
	if os.Getenv("KAFKADR_LONG") != "" {
		runs = 1000
	}
	for seed := range runs {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		h, f := opstest.Random(t, r), opstest.RandomFilter(r)
		want, end := opstest.Expected(t, h, f)
		for from := h.Start; from <= end; from++ {
			got := play(t, h, f, from)
			if diff := cmp.Diff(want[from-h.Start:], got, cmp.Transformer("empty", func(p []opstest.Place) []opstest.Place { return append([]opstest.Place{}, p...) })); diff != "" {
				t.Fatalf("seed %d from %d: (-want +got)\n%s", seed, from, diff)
			}
		}
	}
}

// What can be produced as it is stays raw.
func TestOpsKeepBatchesRaw(t *testing.T) {
	var h opstest.History
	for i := range int64(5) {
		raw, err := batch.Append(nil, 10*i, opstest.Codecs()[i], opstest.Rows(10*i, 10)...)
		if err != nil {
			t.Fatal(err)
		}
		h.Batches = append(h.Batches, opstest.Batch{Raw: raw})
	}
	h.End = 50
	for _, f := range []copyops.Filter{{}, {Until: time.UnixMilli(5000)}} {
		s := copyops.New(h.Source(0, h.End), f, 0, h.End)
		for i := range h.Batches {
			o, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(o.Batch.Raw(), h.Batches[i].Raw) || !o.Whole {
				t.Errorf("batch %d was changed", i)
			}
		}
		if s.Passed() != 50 {
			t.Errorf("passed %d records, want 50", s.Passed())
		}
	}
}

// What begins inside a batch is encoded anew, and isn't the source's.
func TestOpsEncodedAnew(t *testing.T) {
	raw, err := batch.Append(nil, 0, kgo.NoCompression(), opstest.Rows(0, 10)...)
	if err != nil {
		t.Fatal(err)
	}
	h := opstest.History{End: 10, Batches: []opstest.Batch{{Raw: raw}}}
	s := copyops.New(h.Source(3, 10), copyops.Filter{}, 3, 10)
	if o, err := s.Next(); err != nil || o.Whole || o.Records != 7 {
		t.Errorf("op %+v, %v", o, err)
	}
}

// Errors of the source and damaged batches end the stream; nothing of the batch comes out.
func TestOpsErrors(t *testing.T) {
	raw, err := batch.Append(nil, 0, kgo.ZstdCompression(), opstest.Rows(0, 10)...)
	if err != nil {
		t.Fatal(err)
	}
	for i := batch.HeaderSize; i < len(raw); i++ {
		raw[i] ^= 0x5a
	}
	h := opstest.History{End: 10, Batches: []opstest.Batch{{Raw: raw}}}
	s := copyops.New(h.Source(0, 10), copyops.Filter{}, 3, 10)
	if o, err := s.Next(); err == nil {
		t.Errorf("op %v of a damaged batch", o)
	}
}
