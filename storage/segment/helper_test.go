package segment

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// codecs are all of Kafka's, by number.
func codecs() []kgo.CompressionCodec {
	return []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
}

func topic(n byte) (id kadm.TopicID) {
	id[0], id[15] = n, 0xff
	return id
}

// encode makes a batch of records.
func encode(t testing.TB, base int64, codec kgo.CompressionCodec, rs ...*kgo.Record) Batch {
	t.Helper()
	raw, err := AppendBatch(nil, base, codec, rs...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBatch(raw)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// plain makes an uncompressed batch of n small records.
func plain(t testing.TB, base int64, n int) Batch {
	t.Helper()
	rs := make([]*kgo.Record, n)
	for i := range rs {
		rs[i] = &kgo.Record{Value: []byte("value"), Timestamp: time.UnixMilli(1700000000000 + int64(i)), Offset: base + int64(i)}
	}
	return encode(t, base, kgo.NoCompression(), rs...)
}

// edit returns a changed copy with a right CRC.
func edit(b Batch, change func(raw []byte)) Batch {
	raw := bytes.Clone(b.raw)
	change(raw)
	sign(raw)
	return Batch{raw}
}

func attribute(bits uint16) func([]byte) {
	return func(raw []byte) { binary.BigEndian.PutUint16(raw[21:], binary.BigEndian.Uint16(raw[21:])|bits) }
}

// transactional makes the batch part of a transaction.
func transactional(b Batch, producer int64) Batch {
	return edit(b, func(raw []byte) {
		attribute(attrTransactional)(raw)
		binary.BigEndian.PutUint64(raw[43:], uint64(producer))
		binary.BigEndian.PutUint16(raw[51:], 1)
	})
}

// marker makes a control batch: 0 abort, 1 commit.
func marker(t testing.TB, base, producer int64, kind byte) Batch {
	t.Helper()
	b := encode(t, base, kgo.NoCompression(), &kgo.Record{
		Key: []byte{0, 0, 0, kind}, Value: make([]byte, 6), Offset: base, Timestamp: time.UnixMilli(1700000000000)})
	return edit(transactional(b, producer), attribute(attrControl))
}

// emptied is a batch as the cleaner leaves it that removed every record.
func emptied(b Batch) Batch {
	return edit(Batch{b.raw[:HeaderSize:HeaderSize]}, func(raw []byte) {
		binary.BigEndian.PutUint32(raw[8:], HeaderSize-12)
		binary.BigEndian.PutUint32(raw[57:], 0)
	})
}

// hardRecords are n records with everything that is easily lost.
func hardRecords(r *rand.Rand, base int64, n int) []*kgo.Record {
	rs := make([]*kgo.Record, n)
	at, dense := base, r.IntN(2) == 0
	for i := range rs {
		if !dense {
			at += r.Int64N(3)
		}
		rs[i] = &kgo.Record{Key: hardBytes(r), Value: hardBytes(r), Headers: hardHeaders(r), Timestamp: hardTime(r), Offset: at}
		at++
	}
	return rs
}

func hardBytes(r *rand.Rand) []byte {
	switch r.IntN(6) {
	case 0:
		return nil
	case 1:
		return []byte{}
	case 2:
		b := make([]byte, r.IntN(3000))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	return bytes.Repeat([]byte("ab"), 1+r.IntN(40))
}

func hardHeaders(r *rand.Rand) []kgo.RecordHeader {
	keys := []string{"", "a", "a", "trace", "\xff\xfe", "ключ"}
	if r.IntN(3) > 0 {
		return nil
	}
	hs := make([]kgo.RecordHeader, 1+r.IntN(6))
	for i := range hs {
		hs[i] = kgo.RecordHeader{Key: keys[r.IntN(len(keys))], Value: hardBytes(r)}
	}
	return hs
}

func hardTime(r *rand.Rand) time.Time {
	switch r.IntN(8) {
	case 0:
		return time.UnixMilli(-1)
	case 1:
		return time.UnixMilli(0)
	case 2:
		return time.UnixMilli(r.Int64() - r.Int64()) // far out of a Duration's range
	case 3:
		return time.UnixMilli(-r.Int64N(1 << 40))
	}
	return time.UnixMilli(1700000000000 + r.Int64N(1<<30) - 1<<29)
}

// fact is what a record is to a consumer.
type fact struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []kgo.RecordHeader
}

func facts(rs []*kgo.Record) []fact {
	fs := make([]fact, len(rs))
	for i, r := range rs {
		fs[i] = fact{r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers}
	}
	return fs
}

// write makes a segment of batches by partition, partitions in turn.
func write(t testing.TB, o Options, parts map[Partition][]Batch, aborted map[Partition][]AbortedTxn) ([]byte, []RunInfo) {
	t.Helper()
	var buf bytes.Buffer
	w := NewWriter(&buf, o)
	for p, txns := range aborted {
		if err := w.Aborted(p, txns...); err != nil {
			t.Fatal(err)
		}
	}
	for i, more := 0, true; more; i++ {
		more = false
		for n := range byte(10) {
			for j := range int32(4) {
				p := Partition{topic(n), j}
				if i >= len(parts[p]) {
					continue
				}
				more = true
				if err := w.Append(p, parts[p][i]); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	infos, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), infos
}

// read reads all batches of a segment, or fails like a reader.
func read(object []byte) (map[Partition][]Batch, error) {
	r, err := Open(bytes.NewReader(object), int64(len(object)))
	if err != nil {
		return nil, err
	}
	parts := map[Partition][]Batch{}
	for _, info := range r.Runs() {
		run, err := r.Run(info)
		if err != nil {
			return parts, err
		}
		for b, err := range r.Batches(run, 0) {
			if err != nil {
				return parts, err
			}
			parts[info.Partition] = append(parts[info.Partition], Batch{bytes.Clone(b.raw)})
		}
	}
	return parts, nil
}

func verify(object []byte) error {
	r, err := Open(bytes.NewReader(object), int64(len(object)))
	if err != nil {
		return err
	}
	return r.Verify()
}

// small is a segment of several partitions, frames and kinds of batches.
func small(t testing.TB) (object []byte, parts map[Partition][]Batch, infos []RunInfo) {
	t.Helper()
	a, b, c := Partition{topic(1), 0}, Partition{topic(1), 1}, Partition{topic(2), 0}
	parts = map[Partition][]Batch{
		a: {plain(t, 5, 2), plain(t, 7, 1), plain(t, 20, 3)},
		b: {transactional(plain(t, 0, 2), 9), marker(t, 2, 9, 0), plain(t, 3, 1), emptied(plain(t, 4, 5))},
		c: {encode(t, 1<<40, kgo.ZstdCompression(), &kgo.Record{Value: bytes.Repeat([]byte("x"), 500), Offset: 1<<40 + 3, Timestamp: time.UnixMilli(-1)})},
	}
	object, infos = write(t, Options{FrameBytes: 200, Zstd: true}, parts, map[Partition][]AbortedTxn{b: {{ProducerID: 9, FirstOffset: 0}}})
	return object, parts, infos
}
