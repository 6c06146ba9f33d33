package exactcopy

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// A joiner makes one batch of adjacent small ones. Joining costs time of this process and saves
// round trips: it is done where it saves more than it costs.
type joiner struct {
	// nanos is what joining cost lately, per KiB of batches as they are, by codec.
	nanos [8]atomic.Int64
	joins atomic.Int64
}

const (
	// joinable is the length from which a batch is large and stays raw.
	joinable = 32 << 10
	// joinRecords bounds the records of a joined batch.
	joinRecords = 100_000
	// joinGain is how many times the cost a join must save.
	joinGain = 2
	// firstGuess is the cost before anything was joined: 50 MB/s.
	firstGuess = 20_000
)

func codec(buf []byte) byte { return buf[22] & 7 }

// run returns how many items at the queue's front may become one batch, and their length in bytes.
func (j *joiner) run(queue []*item, below int) (n, size int) {
	head := queue[0]
	n, size = 1, len(head.buf)
	if head.joined || size > joinable {
		return n, size
	}
	for _, it := range queue[1:] {
		if it.joined || len(it.buf) > joinable || size+len(it.buf) > below || codec(it.buf) != codec(head.buf) || it.end-head.base > joinRecords {
			break
		}
		n, size = n+1, size+len(it.buf)
	}
	return n, size
}

// pays says whether joining n batches is worth its cost, with round trips of rtt.
func (j *joiner) pays(n, size int, codec byte, rtt time.Duration) bool {
	cost := j.nanos[codec].Load()
	if cost == 0 {
		cost = firstGuess
	}
	return n > 1 && time.Duration(n-1)*rtt > joinGain*time.Duration(cost*int64(size)>>10)
}

// join returns one item with the same records at the same offsets, of the same codec and producer
// state, or nil where they can't be decoded.
func (j *joiner) join(run []*item, bufs *buffers) *item {
	start := time.Now()
	var rs []*kgo.Record
	size := 0
	for _, it := range run {
		size += len(it.buf)
		b, err := batch.Parse(it.buf)
		if err != nil {
			return nil
		}
		got, err := batch.Decode(b, joinLimit)
		if err != nil || int64(len(got)) != it.end-it.base {
			return nil
		}
		for i, r := range got {
			r.Offset = it.base + int64(i)
		}
		rs = append(rs, got...)
	}
	joined := made(rs, run[0], 0, bufs)
	if joined == nil {
		return nil
	}
	j.took(codec(run[0].buf), size, time.Since(start))
	j.joins.Add(1)
	return joined
}

// made makes an item of records whose first is the one at skip in like, whose codec and producer
// state it takes; nil where they can't be encoded.
func made(rs []*kgo.Record, like *item, skip int, bufs *buffers) *item {
	base := like.base + int64(skip)
	raw, err := batch.Append(nil, base, codecs[codec(like.buf)], rs...)
	if err != nil {
		return nil
	}
	b, err := batch.Parse(raw)
	if err != nil {
		return nil
	}
	pid, epoch, sequence := identity(like.buf)
	buf := b.ForProduce(bufs.get(b.Len()), pid, epoch, after(sequence, int64(skip)))
	return &item{buf: buf, base: base, end: base + int64(len(rs)), joined: true, made: true}
}

// halves makes two items of one that was joined and surely not appended, or none.
func halves(it *item, bufs *buffers) []*item {
	if !it.made || it.unsure {
		return nil
	}
	b, err := batch.Parse(it.buf)
	if err != nil {
		return nil
	}
	rs, err := batch.Decode(b, 0)
	if err != nil || len(rs) < 2 {
		return nil
	}
	for i, r := range rs {
		r.Offset = it.base + int64(i)
	}
	mid := len(rs) / 2
	front, back := made(rs[:mid], it, 0, bufs), made(rs[mid:], it, mid, bufs)
	if front == nil || back == nil {
		return nil
	}
	return []*item{front, back}
}

// joinLimit is the longest that a small batch may become when it is decompressed to be joined.
const joinLimit = 4 << 20

// maxTimestamp reads the greatest timestamp of a batch.
func maxTimestamp(raw []byte) int64 { return int64(binary.BigEndian.Uint64(raw[35:])) }

// identity reads producer id, epoch and base sequence of a batch.
func identity(raw []byte) (pid int64, epoch int16, sequence int32) {
	return int64(binary.BigEndian.Uint64(raw[43:])), int16(binary.BigEndian.Uint16(raw[51:])), int32(binary.BigEndian.Uint32(raw[53:]))
}

func (j *joiner) took(codec byte, size int, d time.Duration) {
	now, old := int64(d)*1024/int64(size), j.nanos[codec].Load()
	if old != 0 {
		now = (3*old + now) / 4
	}
	j.nanos[codec].Store(max(now, 1))
}

var codecs = [8]kgo.CompressionCodec{
	kgo.CodecNone:   kgo.NoCompression(),
	kgo.CodecGzip:   kgo.GzipCompression(),
	kgo.CodecSnappy: kgo.SnappyCompression(),
	kgo.CodecLz4:    kgo.Lz4Compression(),
	kgo.CodecZstd:   kgo.ZstdCompression(),
}
