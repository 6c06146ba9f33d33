package batch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

// decodeByKgo decodes by kgo's consumer, as what a record is to others.
func decodeByKgo(t *testing.T, raw []byte) []*kgo.Record {
	t.Helper()
	fp, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{KeepControlRecords: true},
		&kmsg.FetchResponseTopicPartition{RecordBatches: raw}, kgo.DefaultDecompressor(), nil)
	if fp.Err != nil {
		t.Fatal(fp.Err)
	}
	return fp.Records
}

func TestRecordsRoundTrip(t *testing.T) {
	testpass.NoRaces(t)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		n, base := 1+r.IntN(20), r.Int64N(1<<50)
		if i%50 == 0 {
			n = 3000
		}
		want := batchtest.HardRecords(r, base, n)
		b := batchtest.Encode(t, base, batchtest.Codecs()[i%5], want...)
		if err := b.CheckCRC(); err != nil {
			t.Fatal(err)
		}
		got, err := batch.Decode(b, 0)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(batchtest.Facts(want), batchtest.Facts(got)) {
			t.Fatalf("other records than encoded: %v", cmp.Diff(batchtest.Facts(want), batchtest.Facts(got)))
		}
		checkHeader(t, b, want, int8(i%5))
		again := batchtest.Encode(t, base, batchtest.Codecs()[i%5], got...)
		if !bytes.Equal(again.Raw(), b.Raw()) {
			t.Fatal("encoding what was decoded gives another batch")
		}
		byKgo := batchtest.Facts(decodeByKgo(t, b.Raw()))
		for i := range byKgo { // kgo's times overflow beyond the year 2262
			if ms := want[i].Timestamp.UnixMilli(); ms > math.MaxInt64/1000000 || ms < math.MinInt64/1000000 {
				byKgo[i].Timestamp = ms
			}
		}
		if !reflect.DeepEqual(batchtest.Facts(want), byKgo) {
			t.Fatalf("kgo reads other records: %v", cmp.Diff(batchtest.Facts(want), byKgo))
		}
	}
}

func checkHeader(t *testing.T, b batch.Batch, rs []*kgo.Record, codec int8) {
	t.Helper()
	latest := int64(math.MinInt64)
	for _, r := range rs {
		latest = max(latest, r.Timestamp.UnixMilli())
	}
	type header struct {
		End, First, Max, Producer  int64
		Sequence, Records, Epoch   int32
		ProducerEpoch              int16
		Codec                      int8
		Stamped, Txn, Control, Zip bool
	}
	want := header{rs[len(rs)-1].Offset + 1, rs[0].Timestamp.UnixMilli(), latest, -1, -1, int32(len(rs)), -1, -1, codec, false, false, false, codec != 0}
	got := header{b.EndOffset(), b.FirstTimestamp(), b.MaxTimestamp(), b.ProducerID(), b.BaseSequence(), b.Records(), b.LeaderEpoch(),
		b.ProducerEpoch(), b.Codec(), b.LogAppendTime(), b.Transactional(), b.Control(), b.Compressed()}
	if want != got {
		t.Fatalf("header\n%+v, want\n%+v", got, want)
	}
}

func TestAppendBatchOffsets(t *testing.T) {
	at := func(offsets ...int64) (rs []*kgo.Record) {
		for _, o := range offsets {
			rs = append(rs, &kgo.Record{Offset: o})
		}
		return rs
	}
	for name, c := range map[string]struct {
		base int64
		rs   []*kgo.Record
		want []int64 // nil: refused
	}{
		"all zero is dense":  {7, at(0, 0, 0), []int64{7, 8, 9}},
		"all zero at 0":      {0, at(0, 0), []int64{0, 1}},
		"holes":              {7, at(9, 12), []int64{9, 12}},
		"largest delta":      {0, at(0, math.MaxInt32), []int64{0, math.MaxInt32}},
		"last offset":        {math.MaxInt64 - 1, at(math.MaxInt64 - 1), []int64{math.MaxInt64 - 1}},
		"delta too large":    {0, at(0, math.MaxInt32+1), nil},
		"beyond last offset": {math.MaxInt64, at(math.MaxInt64), nil},
		"not ascending":      {7, at(9, 9), nil},
		"below base":         {7, at(6), nil},
		"zero among others":  {7, at(8, 0), nil},
		"negative base":      {-1, at(0), nil},
		"no records":         {0, nil, nil},
	} {
		dst := []byte("before")
		raw, err := batch.Append(dst, c.base, kgo.NoCompression(), c.rs...)
		if e := new(batch.Error); c.want == nil {
			if !errors.As(err, &e) || string(raw) != "before" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		b, err2 := batch.Parse(raw[len(dst):])
		if err != nil || err2 != nil {
			t.Errorf("%s: %v, %v", name, err, err2)
			continue
		}
		rs, err := batch.Decode(b, 0)
		var got []int64
		for _, r := range rs {
			got = append(got, r.Offset)
		}
		if d := cmp.Diff(c.want, got); err != nil || d != "" {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
}

func TestDecodeBatchOfBrokers(t *testing.T) {
	b := batchtest.Transactional(batchtest.Encode(t, 10, kgo.GzipCompression(),
		&kgo.Record{Offset: 10, Timestamp: time.UnixMilli(3)}, &kgo.Record{Offset: 12, Timestamp: time.UnixMilli(1)}), 77)
	stamped := batchtest.Edit(b, func(raw []byte) {
		batchtest.Attribute(batchtest.LogAppendTime)(raw)
		binary.BigEndian.PutUint64(raw[35:], 99)
		binary.BigEndian.PutUint32(raw[12:], 5)
	})
	got, err := batch.Decode(stamped, 0)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(batchtest.Facts(decodeByKgo(t, stamped.Raw())), batchtest.Facts(got)); d != "" {
		t.Error(d)
	}
	r := got[1]
	if r.Timestamp.UnixMilli() != 99 || r.Attrs.TimestampType() != 1 || !r.Attrs.IsTransactional() || r.Attrs.CompressionType() != 1 ||
		r.ProducerID != 77 || r.ProducerEpoch != 1 || r.LeaderEpoch != 5 {
		t.Errorf("%+v", r)
	}
	if rs, err := batch.Decode(batchtest.Emptied(b), 0); b.Codec() == 0 && (err != nil || len(rs) != 0) {
		t.Error(rs, err)
	}
	if rs, err := batch.Decode(batchtest.Emptied(batchtest.Plain(t, 3, 3)), 0); err != nil || len(rs) != 0 {
		t.Error(rs, err)
	}
	own := batchtest.Plain(t, 0, 1)
	rs, _ := batch.Decode(own, 0)
	clear(own.Raw())
	if string(rs[0].Value) != "value" {
		t.Error("records share the batch's memory")
	}
}

// withRecords is a batch with those bytes for records.
func withRecords(t testing.TB, codec uint16, n int32, records []byte) batch.Batch {
	b := batch.Unchecked(append(bytes.Clone(batchtest.Plain(t, 0, 1).Raw()[:batch.HeaderSize]), records...))
	return batchtest.Edit(b, func(raw []byte) {
		binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
		binary.BigEndian.PutUint16(raw[21:], codec)
		binary.BigEndian.PutUint32(raw[23:], uint32(n-1))
		binary.BigEndian.PutUint32(raw[57:], uint32(n))
	})
}

func TestDecodeBatchRefuses(t *testing.T) {
	one := []byte{14, 0, 0, 0, 1, 1, 0, 0} // length 7: null key and value, no header, one byte too many
	for name, b := range map[string]batch.Batch{
		"more records than bytes": withRecords(t, 0, math.MaxInt32, make([]byte, 100)),
		"no bytes at all":         withRecords(t, 0, 3, nil),
		"bytes behind":            withRecords(t, 0, 1, []byte{12, 0, 0, 0, 1, 1, 0, 9}),
		"bytes in record":         withRecords(t, 0, 1, one),
		"cut record":              withRecords(t, 0, 1, []byte{40, 0, 0, 0, 1, 1, 0}),
		"negative length":         withRecords(t, 0, 1, []byte{1, 0, 0, 0, 1, 1, 0}),
		"offset out of batch":     withRecords(t, 0, 1, []byte{12, 0, 0, 2, 1, 1, 0}),
		"negative offset delta":   withRecords(t, 0, 1, []byte{12, 0, 0, 1, 1, 1, 0}),
		"absurd headers":          withRecords(t, 0, 1, []byte{20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f}),
		"negative headers":        withRecords(t, 0, 1, []byte{12, 0, 0, 0, 1, 1, 1}),
		"null header key":         withRecords(t, 0, 1, []byte{16, 0, 0, 0, 1, 1, 2, 1, 1}),
		"unknown codec":           withRecords(t, 5, 1, []byte{12, 0, 0, 0, 1, 1, 0}),
		"not gzip":                withRecords(t, 1, 1, []byte{12, 0, 0, 0, 1, 1, 0}),
		"not snappy":              withRecords(t, 2, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
		"broken batch.Xerial":     withRecords(t, 2, 1, append([]byte(batch.Xerial), make([]byte, 8)...)),
		"cut batch.Xerial":        withRecords(t, 2, 1, append(append([]byte(batch.Xerial), make([]byte, 8)...), 0xff, 0xff, 0xff, 0xff)),
		"not lz4":                 withRecords(t, 3, 1, []byte{12, 0, 0, 0, 1, 1, 0}),
		"not zstd":                withRecords(t, 4, 1, []byte{12, 0, 0, 0, 1, 1, 0}),
	} {
		rs, err := batch.Decode(b, 0)
		if e := new(batch.Error); !errors.As(err, &e) || rs != nil {
			t.Errorf("%s: %v, %v", name, rs, err)
		}
	}
}

// bombs are 64 MiB of zeros, by codec.
func bombs(t testing.TB) map[uint16][]byte {
	t.Helper()
	zeros := make([]byte, 64<<20)
	var gz, lz bytes.Buffer
	g := gzip.NewWriter(&gz)
	l := lz4.NewWriter(&lz)
	_, err1 := g.Write(zeros)
	_, err2 := l.Write(zeros)
	z, err3 := zstd.NewWriter(nil)
	if err := errors.Join(err1, g.Close(), err2, l.Close(), err3); err != nil {
		t.Fatal(err)
	}
	var frames []byte // many small frames: none of them is beyond the limit
	for range 64 {
		frames = z.EncodeAll(zeros[:1<<20], frames)
	}
	var stream bytes.Buffer // a frame that doesn't say its length
	zs, err := zstd.NewWriter(&stream, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		if _, err := zs.Write(zeros[:1<<20]); err != nil {
			t.Fatal(err)
		}
	}
	if err := zs.Close(); err != nil {
		t.Fatal(err)
	}
	block := s2.EncodeSnappy(nil, zeros[:1<<20])
	framed := append([]byte(batch.Xerial), make([]byte, 8)...)
	for range 64 {
		framed = append(binary.BigEndian.AppendUint32(framed, uint32(len(block))), block...)
	}
	return map[uint16][]byte{1: gz.Bytes(), 2: s2.EncodeSnappy(nil, zeros), 0x102: framed, 3: lz.Bytes(),
		4: z.EncodeAll(zeros, nil), 0x104: frames, 0x204: stream.Bytes()}
}

func TestDecodeBatchIsBounded(t *testing.T) {
	testpass.NoRaces(t)
	const limit = 8 << 20
	for codec, bomb := range bombs(t) {
		b := withRecords(t, codec&batchtest.CodecMask, 1, bomb)
		var err error
		made := batchtest.Allocated(func() { _, err = batch.Decode(b, limit) })
		if !errors.Is(err, batch.ErrTooLarge) {
			t.Errorf("codec %#x: %v", codec, err)
		}
		if made > 12*limit { // all growth taken together; a whole bomb takes twice its length
			t.Errorf("codec %#x: %d bytes allocated for a limit of %d", codec, made, limit)
		}
	}
	if _, err := batch.Decode(batchtest.Plain(t, 0, 5), 10); !errors.Is(err, batch.ErrTooLarge) {
		t.Error(err)
	}
}

func TestControlType(t *testing.T) {
	for _, kind := range []byte{0, 1} {
		if got, err := batchtest.Marker(t, 4, 1, kind).ControlType(); err != nil || got != int16(kind) {
			t.Error(got, err)
		}
	}
	for _, b := range []batch.Batch{batchtest.Plain(t, 0, 1), batchtest.Emptied(batchtest.Marker(t, 4, 1, 0)), batchtest.Edit(batchtest.Plain(t, 0, 1), batchtest.Attribute(batchtest.Control))} {
		if got, err := b.ControlType(); err == nil {
			t.Error(got)
		}
	}
}

func TestForProduce(t *testing.T) {
	b := batchtest.Edit(batchtest.Transactional(batchtest.Plain(t, 100, 3), 5), func(raw []byte) {
		batchtest.Attribute(batchtest.DeleteHorizon)(raw)
		binary.BigEndian.PutUint32(raw[12:], 7)
	})
	before := bytes.Clone(b.Raw())
	out := b.ForProduce([]byte("x"), 42, 3, 1<<30)
	got, err := batch.Parse(out[1:])
	if err != nil {
		t.Fatal(err)
	}
	want := batchtest.Edit(batchtest.Plain(t, 100, 3), func(raw []byte) {
		binary.BigEndian.PutUint64(raw, 0)
		binary.BigEndian.PutUint64(raw[43:], 42)
		binary.BigEndian.PutUint16(raw[51:], 3)
		binary.BigEndian.PutUint32(raw[53:], 1<<30)
	})
	if !bytes.Equal(got.Raw(), want.Raw()) {
		t.Errorf("got\n%x, want\n%x", got.Raw(), want.Raw())
	}
	if !bytes.Equal(before, b.Raw()) {
		t.Error("the batch itself was changed")
	}
}
