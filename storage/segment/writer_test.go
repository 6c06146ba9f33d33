package segment

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

func TestRoundTrip(t *testing.T) {
	testpass.NoRaces(t)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 40 {
		parts := map[Partition][]batch.Batch{}
		for n := range 1 + r.IntN(8) {
			p := Partition{topic(byte(n / 3)), int32(n % 3)}
			at := r.Int64N(1 << 40)
			for range 1 + r.IntN(12) {
				b := batchtest.Encode(t, at, batchtest.Codecs()[r.IntN(5)], batchtest.HardRecords(r, at, 1+r.IntN(30))...)
				parts[p] = append(parts[p], b)
				at = b.EndOffset() + r.Int64N(2)*r.Int64N(100)
			}
		}
		object, infos := write(t, Options{FrameBytes: 1 << r.IntN(16), BufferBytes: 1 << r.IntN(20), Zstd: i%2 == 0}, parts, nil)
		got, err := read(object)
		if err != nil {
			t.Fatal(err)
		}
		for p := range parts {
			if len(parts[p]) != len(got[p]) {
				t.Fatalf("%v: %d batches, want %d", p, len(got[p]), len(parts[p]))
			}
			for i, b := range parts[p] {
				if !bytes.Equal(b.Raw(), got[p][i].Raw()) {
					t.Fatalf("%v: batch %d differs", p, i)
				}
			}
		}
		if err := verify(object); err != nil {
			t.Fatal(err)
		}
		reader, err := Open(bytes.NewReader(object), int64(len(object)))
		if d := cmp.Diff(infos, reader.Runs()); err != nil || d != "" {
			t.Fatal(err, d)
		}
	}
}

func TestWriterEmpty(t *testing.T) {
	object, infos := write(t, Options{}, nil, map[Partition][]batch.AbortedTxn{{}: {{ProducerID: 1, FirstOffset: 2}}})
	if err := verify(object); err != nil || len(infos) != 0 || len(object) != headerLen+footerLen {
		t.Error(err, infos, len(object))
	}
}

func TestWriterBounds(t *testing.T) {
	const limit = 256 << 10
	var buf bytes.Buffer
	w := NewWriter(&buf, Options{FrameBytes: 64 << 10, BufferBytes: limit})
	next := map[int32]int64{}
	r := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		p := r.Int32N(200)
		if r.IntN(2) == 0 {
			p = 0
		}
		b := batchtest.Plain(t, next[p], 1+r.IntN(40))
		next[p] = b.EndOffset()
		if err := w.Append(Partition{Partition: p}, b); err != nil {
			t.Fatal(err)
		}
		held, length := 0, 0
		for _, run := range w.runs {
			held += cap(run.buf)
			length += len(run.buf)
		}
		if held > limit || held != w.buffers.memory || length != w.buffers.length {
			t.Fatalf("%d bytes held, %d counted, limit %d", held, w.buffers.memory, limit)
		}
	}
	size := w.Size()
	infos, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if off := size - int64(buf.Len()); off < -int64(buf.Len())/10 || off > int64(buf.Len())/10 {
		t.Errorf("Size said %d, it was %d", size, buf.Len())
	}
	if err := verify(buf.Bytes()); err != nil {
		t.Error(err)
	}
	for _, i := range infos {
		if i.EndOffset != next[i.Partition.Partition] {
			t.Errorf("%v ends at %d", i.Partition, i.EndOffset)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	w := NewWriter(io.Discard, Options{})
	p := Partition{Partition: 1}
	if err := w.Append(p, batchtest.Plain(t, 5, 5)); err != nil {
		t.Fatal(err)
	}
	if e := new(batch.Error); !errors.As(w.Append(p, batchtest.Plain(t, 9, 1)), &e) || e.BaseOffset != 9 {
		t.Error(e)
	}
	if w.Append(p, batch.Batch{}) == nil || w.Append(Partition{Partition: -1}, batchtest.Plain(t, 0, 1)) == nil || w.Aborted(p, batch.AbortedTxn{ProducerID: 1, FirstOffset: -1}) == nil {
		t.Error("accepted")
	}
	if infos, err := w.Close(); err != nil || len(infos) != 1 || infos[0].EndOffset != 10 {
		t.Error(infos, err)
	}
	if w.Append(p, batchtest.Plain(t, 50, 1)) == nil || w.Aborted(p) == nil {
		t.Error("accepted after Close")
	}
	if _, err := w.Close(); err == nil {
		t.Error("closed twice")
	}
}

// failing is a writer whose n-th write fails, half done.
type failing struct{ n int }

var errDisk = errors.New("disk full")

func (f *failing) Write(p []byte) (int, error) {
	if f.n--; f.n == 0 {
		return len(p) / 2, errDisk
	}
	return len(p), nil
}

func TestWriterFails(t *testing.T) {
	for n := 1; ; n++ {
		f := &failing{n}
		w := NewWriter(f, Options{FrameBytes: 100})
		var failed error
		for i := range int64(3) {
			if err := w.Append(Partition{}, batchtest.Plain(t, i, 1)); err != nil {
				failed = err
			}
		}
		_, err := w.Close()
		if f.n > 0 {
			if err != nil || n < 6 {
				t.Fatal(n, err)
			}
			return
		}
		if !errors.Is(err, errDisk) || failed != nil && !errors.Is(failed, errDisk) {
			t.Fatalf("write %d: %v, %v", n, failed, err)
		}
	}
}

func TestFacts(t *testing.T) {
	for name, c := range map[string]struct {
		batches []batch.Batch
		aborted []batch.AbortedTxn
		want    RunInfo // counts alone
	}{
		"plain":            {[]batch.Batch{batchtest.Plain(t, 3, 2), batchtest.Plain(t, 5, 1)}, nil, RunInfo{Records: 3}},
		"gap":              {[]batch.Batch{batchtest.Plain(t, 3, 2), batchtest.Plain(t, 9, 1)}, nil, RunInfo{Records: 3, Missing: 4, HoleRuns: 1}},
		"marker":           {[]batch.Batch{batchtest.Plain(t, 0, 1), batchtest.Marker(t, 1, 5, 1), batchtest.Plain(t, 2, 1)}, nil, RunInfo{Records: 3, HoleRuns: 1}},
		"gap beside holes": {[]batch.Batch{batchtest.Marker(t, 1, 5, 1), batchtest.Emptied(batchtest.Plain(t, 4, 2)), batchtest.Marker(t, 6, 5, 0), batchtest.Plain(t, 7, 1)}, nil, RunInfo{Records: 3, Missing: 4, HoleRuns: 1}},
		"aborted": {[]batch.Batch{batchtest.Transactional(batchtest.Plain(t, 0, 2), 5), batchtest.Plain(t, 2, 1), batchtest.Transactional(batchtest.Plain(t, 3, 1), 5), batchtest.Marker(t, 4, 5, 0), batchtest.Transactional(batchtest.Plain(t, 5, 1), 5)},
			[]batch.AbortedTxn{{ProducerID: 5, FirstOffset: 0}}, RunInfo{Records: 6, HoleRuns: 2}},
	} {
		p := Partition{topic(1), 0}
		object, infos := write(t, Options{}, map[Partition][]batch.Batch{p: c.batches}, map[Partition][]batch.AbortedTxn{p: c.aborted})
		i := infos[0]
		if i.Records != c.want.Records || i.Missing != c.want.Missing || i.HoleRuns != c.want.HoleRuns {
			t.Errorf("%s: %d records, %d missing, %d hole runs", name, i.Records, i.Missing, i.HoleRuns)
		}
		if err := verify(object); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAbortedInIndex(t *testing.T) {
	p := Partition{topic(1), 0}
	object, _ := write(t, Options{}, map[Partition][]batch.Batch{p: {batchtest.Plain(t, 10, 5)}},
		map[Partition][]batch.AbortedTxn{p: {{ProducerID: 7, FirstOffset: 12}, {ProducerID: 9, FirstOffset: 3}, {ProducerID: 7, FirstOffset: 12}, {ProducerID: 8, FirstOffset: 15}, {ProducerID: -1, FirstOffset: 12}}})
	r, err := Open(bytes.NewReader(object), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	run, err := r.Run(r.Runs()[0])
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]batch.AbortedTxn{{ProducerID: 9, FirstOffset: 3}, {ProducerID: -1, FirstOffset: 12}, {ProducerID: 7, FirstOffset: 12}}, run.Aborted); d != "" {
		t.Error(d)
	}
}

func TestBatchesFrom(t *testing.T) {
	p := Partition{topic(1), 0}
	object, _ := write(t, Options{FrameBytes: 150}, map[Partition][]batch.Batch{p: {batchtest.Plain(t, 0, 2), batchtest.Plain(t, 2, 2), batchtest.Plain(t, 10, 2), batchtest.Plain(t, 12, 2)}}, nil)
	r, err := Open(bytes.NewReader(object), int64(len(object)))
	if err != nil {
		t.Fatal(err)
	}
	run, err := r.Run(r.Runs()[0])
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[int64]int64{-5: 0, 0: 0, 1: 0, 2: 2, 3: 2, 4: 10, 9: 10, 11: 10, 12: 12, 13: 12, 14: -1} {
		got := int64(-1)
		for b, err := range r.Batches(run, from) {
			if err != nil {
				t.Fatal(err)
			}
			got = b.BaseOffset()
			break
		}
		if got != want {
			t.Errorf("from %d: batch at %d, want %d", from, got, want)
		}
	}
}
