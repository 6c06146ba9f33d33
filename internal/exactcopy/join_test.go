package exactcopy

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

var allCodecs = []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}

// hard is a batch of records that are easily harmed: headers, nulls, timestamps out of order.
func hard(t testing.TB, base int64, n int, codec kgo.CompressionCodec) batch.Batch {
	t.Helper()
	var rs []*kgo.Record
	for i := range n {
		r := &kgo.Record{Key: []byte{byte(i)}, Value: bytes.Repeat([]byte{byte(base)}, i*7%30), Timestamp: time.UnixMilli(1_700_000_000_000 - int64(i%5)*100_000)}
		switch i % 4 {
		case 0:
			r.Key, r.Timestamp = nil, time.UnixMilli(-1)
		case 1:
			r.Value = nil
		case 2:
			r.Headers = []kgo.RecordHeader{{Key: "a", Value: nil}, {Key: "a", Value: []byte{}}, {Key: "\xff\xfe", Value: []byte("x")}}
		}
		rs = append(rs, r)
	}
	raw, err := batch.Append(nil, base, codec, rs...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := batch.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestJoin: joined batches hold the same records at the same offsets, with the same codec, and
// continue the sequence.
func TestJoin(t *testing.T) {
	for i, c := range allCodecs {
		var j joiner
		var run []*item
		var want []*kgo.Record
		p := newProducer("copy", rawkafka.Partition{})
		p.epoch, p.sequence = 3, 1<<31-20
		base := int64(1000)
		for k := range 7 {
			b := hard(t, base, 3+k, c)
			rs, err := batch.Decode(b, 0)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, rs...)
			run = append(run, &item{buf: b.ForProduce(nil, p.pid(), p.epoch, p.sequence), base: base, end: b.EndOffset()})
			p.advance(int64(b.Records()))
			base = b.EndOffset()
		}
		if n, size := j.run(run, 1<<20); n != 7 || size == 0 {
			t.Fatalf("codec %d: a run of %d", i, n)
		}
		got := j.join(run, new(buffers))
		b, err := batch.Parse(got.buf)
		if err != nil {
			t.Fatal(err)
		}
		pid, epoch, sequence := identity(got.buf)
		if got.base != 1000 || got.end != base || b.Codec() != int8(i) || b.CheckCRC() != nil || pid != p.pid() || epoch != 3 || sequence != 1<<31-20 || b.BaseOffset() != 0 {
			t.Fatalf("codec %d: %+v", i, got)
		}
		rs, err := batch.Decode(b, 0)
		if err != nil || len(rs) != len(want) {
			t.Fatalf("codec %d: %d records, %v", i, len(rs), err)
		}
		for k, r := range rs {
			if text(r, r.Offset+1000) != text(want[k], want[k].Offset) {
				t.Errorf("codec %d: record %s, want %s", i, text(r, r.Offset+1000), text(want[k], want[k].Offset))
			}
		}
	}
}

func text(r *kgo.Record, offset int64) string {
	return fmt.Sprintf("%d %v %#v %#v %#v", offset, r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers)
}

// TestRun: what is joined, and what isn't.
func TestRun(t *testing.T) {
	sized := func(n int, codec byte) *item {
		it := &item{buf: make([]byte, n), end: 1}
		it.buf[22] = codec
		return it
	}
	taken := sized(100, 0)
	taken.joined = true
	for what, c := range map[string]struct {
		queue []*item
		want  int
	}{
		"small":        {[]*item{sized(100, 0), sized(100, 0), sized(100, 0)}, 3},
		"one":          {[]*item{sized(100, 0)}, 1},
		"large first":  {[]*item{sized(joinable+1, 0), sized(100, 0)}, 1},
		"large second": {[]*item{sized(100, 0), sized(joinable+1, 0)}, 1},
		"codecs":       {[]*item{sized(100, 4), sized(100, 4), sized(100, 0)}, 2},
		"was sent":     {[]*item{taken, sized(100, 0)}, 1},
		"bound":        {[]*item{sized(30<<10, 0), sized(30<<10, 0), sized(30<<10, 0)}, 2},
	} {
		if n, _ := new(joiner).run(c.queue, 64<<10); n != c.want {
			t.Errorf("%s: %d, want %d", what, n, c.want)
		}
	}
	if new(joiner).pays(1, 100, 0, time.Hour) || new(joiner).pays(2, 1<<20, 4, time.Millisecond) || !new(joiner).pays(100, 10_000, 0, time.Millisecond) {
		t.Error("pays")
	}
}

// TestJoinCopy: small batches behind a slow broker arrive joined, whole and in place; a joined one
// that fails is sent again as it was.
func TestJoinCopy(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	kf := testkafka.Kfake(kafka)
	tg := connect(t, kafka, Config{})
	name := tg.topic("join", 1, 1, nil)[0]
	requests := 0
	kf.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		requests++
		kf.SleepControl(func() { slow(t) })
		if requests == 2 {
			return answerProduce(req.(*kmsg.ProduceRequest), 6, -1), nil, true
		}
		return nil, nil, false
	})
	p := tg.opened(tg.copier, name)
	kinds := tg.appendAll(p, 400, 3)
	tg.must(p.Flush(t.Context(), true))
	tg.check(name, kinds)
	if tg.copier.joiner.joins.Load() == 0 || requests > 100 {
		t.Errorf("%d requests, %d joins", requests, tg.copier.joiner.joins.Load())
	}
}

// slow is a broker's round trip.
func slow(t testing.TB) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	select {
	case <-tick.C:
	case <-t.Context().Done():
	}
}

// TestJoinedTooLarge: a topic whose max.message.bytes is less than what is joined gets everything
// all the same, each record once.
func TestJoinedTooLarge(t *testing.T) {
	tg := connect(t, testkafka.Fake(t, testkafka.Options{Brokers: 1}), Config{})
	limit := "3000"
	name := tg.topic("small", 1, 1, map[string]*string{"max.message.bytes": &limit})[0]
	p := tg.opened(tg.copier, name)
	p.setRTT(time.Second) // joining pays
	kinds := make([]bool, 1000)
	for at := range int64(len(kinds)) / 10 {
		tg.must(p.Append(t.Context(), makeBatch(t, at*10, 10, kgo.NoCompression())))
	}
	tg.must(p.Flush(t.Context(), true))
	for i := range kinds {
		kinds[i] = true
	}
	tg.check(name, kinds)
	if tg.copier.joiner.joins.Load() == 0 {
		t.Error("nothing was joined")
	}
}
