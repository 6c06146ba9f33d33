package testkafka

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// noRetention keeps records with old timestamps.
var noRetention = []string{"retention.ms", "-1"}

func (l *loader) codecs() {
	topic := l.create("hard.codecs", 2, noRetention...)
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	var clients []*kgo.Client
	defer func() { closeAll(clients) }()
	for _, codec := range codecs {
		clients = append(clients, l.producer(kgo.ProducerBatchCompression(codec)))
	}
	for n := 0; n < l.Records; {
		for i, c := range clients {
			size := 1 + l.rng.IntN(20)
			l.batch(c, l.records(topic, int32((n+i)%2), n, size)...)
			n += size
		}
	}
}

func closeAll(clients []*kgo.Client) {
	for _, c := range clients {
		c.Close()
	}
}

func (l *loader) batches() {
	topic := l.create("hard.batches", 1, noRetention...)
	c := l.producer(kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	defer c.Close()
	n := 0
	for _, size := range []int{1, 1, 3000, 1, 5000, 2} {
		l.batch(c, l.records(topic, 0, n, size)...)
		n += size
	}
	ts := time.UnixMilli(1_750_000_000_000)
	for _, r := range []kgo.Record{
		{}, {Key: []byte{}}, {Value: []byte{}}, {Key: []byte{}, Value: []byte{}}, {Key: []byte("tombstone")}, {Value: []byte("no key")},
		{Key: []byte{0}, Value: []byte{0xff, 0xfe, 0}},
	} {
		r.Topic, r.Timestamp = topic, ts
		l.batch(c, &r)
	}
}

func (l *loader) headers() {
	topic := l.create("hard.headers", 1, noRetention...)
	c := l.producer(kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	defer c.Close()
	var many []kgo.RecordHeader
	for i := range 200 {
		many = append(many, kgo.RecordHeader{Key: fmt.Sprintf("h%d", i), Value: fmt.Appendf(nil, "%d", i)})
	}
	h := func(key string, value []byte) kgo.RecordHeader { return kgo.RecordHeader{Key: key, Value: value} }
	for i, hs := range [][]kgo.RecordHeader{
		nil, many, {h("twice", []byte("1")), h("twice", []byte("2"))}, {h("same", []byte("1")), h("same", []byte("1"))},
		{h("null", nil)}, {h("empty", []byte{})}, {h("", []byte("no name"))}, {h("", nil), h("", []byte{})},
		{h("\xff\xfe\x80", []byte("not UTF-8"))}, {h("big", bytes.Repeat([]byte{1}, 20_000))}, {h("b", nil), h("a", nil)},
	} {
		r := l.record(topic, 0, i)
		r.Headers = hs
		l.batch(c, r)
	}
}

func (l *loader) times() {
	topic := l.create("hard.times", 1, "retention.ms", "-1", "message.timestamp.after.max.ms", fmt.Sprint(int64(math.MaxInt64)),
		"message.timestamp.before.max.ms", fmt.Sprint(int64(math.MaxInt64)))
	c := l.producer(kgo.ProducerBatchCompression(kgo.SnappyCompression()))
	defer c.Close()
	now := time.Now().UnixMilli()
	base := []int64{0, -1, 1_750_000_000_000, 5, now + 48*3600_000, 1_600_000_000_000, now, -1, 0}
	for i := 0; i < l.Records; {
		var recs []*kgo.Record
		for range 1 + l.rng.IntN(9) {
			r := l.record(topic, 0, i)
			ms := base[l.rng.IntN(len(base))]
			if ms > 10 {
				ms -= int64(l.rng.IntN(100_000))
			}
			r.Timestamp = time.UnixMilli(ms)
			recs = append(recs, r)
			i++
		}
		l.batch(c, recs...)
	}
	for i, ms := range base { // each alone in its batch as well
		r := l.record(topic, 0, i)
		r.Timestamp = time.UnixMilli(ms)
		l.batch(c, r)
	}
}

func (l *loader) appendTime() {
	if !l.cl.Real() {
		return
	}
	topic := l.create("hard.appendtime", 1, "message.timestamp.type", "LogAppendTime")
	c := l.producer(kgo.ProducerBatchCompression(kgo.GzipCompression()))
	defer c.Close()
	for i := 0; i < l.Records/10; i += 5 {
		l.batch(c, l.records(topic, 0, i, 5)...)
	}
}

func (l *loader) large() {
	topic := l.create("hard.large", 1, "max.message.bytes", fmt.Sprint(8<<20), "retention.ms", "-1")
	c := l.producer()
	defer c.Close()
	for i := range 3 {
		r := l.record(topic, 0, i)
		r.Value = make([]byte, 5_000_000)
		for j := 0; j < len(r.Value); j += 3 { // a third of it is noise, so that compression doesn't make it small
			r.Value[j] = byte(l.rng.Uint32())
		}
		l.batch(c, l.record(topic, 0, i))
		l.batch(c, r)
	}
}

func (l *loader) empty() { l.create("hard.empty", 3) }

func (l *loader) case_() {
	c := l.producer()
	defer c.Close()
	for _, name := range []string{"orders", "Orders"} {
		topic := l.create(name, 1, noRetention...)
		l.batch(c, l.records(topic, 0, 0, 10)...)
	}
}

func (l *loader) many() {
	topic := l.create("hard.many", l.ManyPartitions, noRetention...)
	c := l.producer()
	defer c.Close()
	var recs []*kgo.Record
	for p := int32(0); p < l.ManyPartitions; p += 7 {
		recs = append(recs, l.records(topic, p, 0, 3)...)
	}
	l.batch(c, recs...)
}
