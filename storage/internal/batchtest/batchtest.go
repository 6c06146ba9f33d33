// Package batchtest makes record batches for tests: plain ones, hard ones, transactions' and
// emptied ones.
package batchtest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// Codecs are all of Kafka's, by number.
func Codecs() []kgo.CompressionCodec {
	return []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
}

// Encode makes a batch of records.
func Encode(t testing.TB, base int64, codec kgo.CompressionCodec, rs ...*kgo.Record) batch.Batch {
	t.Helper()
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

// Plain makes an uncompressed batch of n small records.
func Plain(t testing.TB, base int64, n int) batch.Batch {
	t.Helper()
	rs := make([]*kgo.Record, n)
	for i := range rs {
		rs[i] = &kgo.Record{Value: []byte("value"), Timestamp: time.UnixMilli(1700000000000 + int64(i)), Offset: base + int64(i)}
	}
	return Encode(t, base, kgo.NoCompression(), rs...)
}

// Edit returns a changed copy with a right CRC.
func Edit(b batch.Batch, change func(raw []byte)) batch.Batch {
	raw := bytes.Clone(b.Raw())
	change(raw)
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return Make(raw)
}

// Make takes raw, which may be malformed behind its header, as a batch.
func Make(raw []byte) batch.Batch {
	b, err := batch.Parse(raw)
	if err != nil {
		panic(err)
	}
	return b
}

// Bits of a batch's attributes.
const (
	CodecMask     = 0x07
	LogAppendTime = 0x08
	transaction   = 0x10
	Control       = 0x20
	DeleteHorizon = 0x40
)

// Attribute sets bits of the attributes.
func Attribute(bits uint16) func([]byte) {
	return func(raw []byte) { binary.BigEndian.PutUint16(raw[21:], binary.BigEndian.Uint16(raw[21:])|bits) }
}

// Transactional makes the batch part of a transaction.
func Transactional(b batch.Batch, producer int64) batch.Batch {
	return Edit(b, func(raw []byte) {
		Attribute(transaction)(raw)
		binary.BigEndian.PutUint64(raw[43:], uint64(producer))
		binary.BigEndian.PutUint16(raw[51:], 1)
	})
}

// Marker makes a control batch: 0 abort, 1 commit.
func Marker(t testing.TB, base, producer int64, kind byte) batch.Batch {
	t.Helper()
	b := Encode(t, base, kgo.NoCompression(), &kgo.Record{
		Key: []byte{0, 0, 0, kind}, Value: make([]byte, 6), Offset: base, Timestamp: time.UnixMilli(1700000000000)})
	return Edit(Transactional(b, producer), Attribute(Control))
}

// Emptied is a batch as the cleaner leaves it that removed every record.
func Emptied(b batch.Batch) batch.Batch {
	header := bytes.Clone(b.Raw()[:batch.HeaderSize])
	binary.BigEndian.PutUint32(header[8:], batch.HeaderSize-12)
	binary.BigEndian.PutUint32(header[57:], 0)
	return Edit(Make(header), func([]byte) {})
}

// HardRecords are n records with everything that is easily lost.
func HardRecords(r *rand.Rand, base int64, n int) []*kgo.Record {
	rs := make([]*kgo.Record, n)
	at, dense := base, r.IntN(2) == 0
	for i := range rs {
		if !dense {
			at += r.Int64N(3)
		}
		rs[i] = &kgo.Record{Key: HardBytes(r), Value: HardBytes(r), Headers: HardHeaders(r), Timestamp: HardTime(r), Offset: at}
		at++
	}
	return rs
}

// HardBytes returns null, empty, random or compressible bytes.
func HardBytes(r *rand.Rand) []byte {
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

// HardHeaders returns none or some headers, keys doubled, empty or not UTF-8.
func HardHeaders(r *rand.Rand) []kgo.RecordHeader {
	keys := []string{"", "a", "a", "trace", "\xff\xfe", "ключ"}
	if r.IntN(3) > 0 {
		return nil
	}
	hs := make([]kgo.RecordHeader, 1+r.IntN(6))
	for i := range hs {
		hs[i] = kgo.RecordHeader{Key: keys[r.IntN(len(keys))], Value: HardBytes(r)}
	}
	return hs
}

// HardTime returns a timestamp, maybe a hostile one.
func HardTime(r *rand.Rand) time.Time {
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

// Fact is what a record is to a consumer.
type Fact struct {
	Offset, Timestamp int64
	Key, Value        []byte
	Headers           []kgo.RecordHeader
}

// Facts are what consumers see of the records.
func Facts(rs []*kgo.Record) []Fact {
	fs := make([]Fact, len(rs))
	for i, r := range rs {
		fs[i] = Fact{r.Offset, r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers}
	}
	return fs
}

// Load is batches of n records of so many bytes.
func Load(b testing.TB, n, size int, codec kgo.CompressionCodec) batch.Batch {
	r := rand.New(rand.NewPCG(1, 2))
	rs := make([]*kgo.Record, n)
	for i := range rs {
		v := make([]byte, size)
		for j := range v {
			v[j] = "0123456789abcdef"[r.IntN(16)]
		}
		rs[i] = &kgo.Record{Offset: int64(i), Value: v, Timestamp: time.UnixMilli(1700000000000)}
	}
	return Encode(b, 0, codec, rs...)
}

// Allocated is how many bytes f allocates, all goroutines together.
func Allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Zipped compresses a message set or a frame.
func Zipped(t testing.TB, codec int8, set []byte) []byte {
	t.Helper()
	c, err := kgo.DefaultCompressor(Codecs()[codec])
	if err != nil {
		t.Fatal(err)
	}
	out, used := c.Compress(new(bytes.Buffer), set)
	if int8(used) != codec {
		t.Fatal(used)
	}
	return out
}
