package testkafka

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Content is what a reader saw of some topics: enough to compare two readings, and small enough to
// keep, as JSON too.
type Content struct {
	// Topics by name, then partition.
	Topics map[string]map[int32]*Partition `json:"topics"`
}

// Partition is what a reader saw of one partition.
type Partition struct {
	// Start is the log start offset.
	Start int64 `json:"start"`
	// End is where the reading ended: the cut.
	End int64 `json:"end"`
	// Records are those of [Start, End) that the reader saw, in order.
	Records []Record `json:"records"`
}

// Record is a record's place, time and the digests of its parts (the first 8 bytes of a SHA-256;
// null and empty differ).
type Record struct {
	Offset    int64 `json:"o"`
	Timestamp int64 `json:"t"`
	// TimestampType is 0 for CreateTime, 1 for LogAppendTime, -1 for none.
	TimestampType int8   `json:"y"`
	Key           uint64 `json:"k"`
	Value         uint64 `json:"v"`
	Headers       uint64 `json:"h"`
	// HeaderText digests the headers as kcat prints them, which is less than they are.
	HeaderText uint64 `json:"x"`
}

// Cuts are end offsets by topic and partition.
type Cuts map[string]map[int32]int64

// Rename gives the topics other names.
func (c *Content) Rename(name func(string) string) *Content {
	out := &Content{Topics: map[string]map[int32]*Partition{}}
	for t, ps := range c.Topics {
		out.Topics[name(t)] = ps
	}
	return out
}

// Cuts are the ends of the reading.
func (c *Content) Cuts() Cuts {
	out := Cuts{}
	for t, ps := range c.Topics {
		out[t] = map[int32]int64{}
		for p, part := range ps {
			out[t][p] = part.End
		}
	}
	return out
}

// Len is the number of records.
func (c *Content) Len() int {
	n := 0
	for _, ps := range c.Topics {
		for _, p := range ps {
			n += len(p.Records)
		}
	}
	return n
}

func recordOf(r *kgo.Record) Record {
	return Record{
		Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), TimestampType: r.Attrs.TimestampType(),
		Key: sum(r.Key), Value: sum(r.Value), Headers: sumHeaders(r.Headers), HeaderText: sum([]byte(headerText(r.Headers))),
	}
}

// sum digests bytes; null is 0.
func sum(b []byte) uint64 {
	if b == nil {
		return 0
	}
	d := sha256.Sum256(b)
	return binary.BigEndian.Uint64(d[:])
}

func sumHeaders(hs []kgo.RecordHeader) uint64 {
	var b []byte
	for _, h := range hs {
		b = binary.AppendVarint(b, int64(len(h.Key)))
		b = append(b, h.Key...)
		if h.Value == nil {
			b = binary.AppendVarint(b, -1)
			continue
		}
		b = binary.AppendVarint(b, int64(len(h.Value)))
		b = append(b, h.Value...)
	}
	d := sha256.Sum256(b)
	return binary.BigEndian.Uint64(d[:])
}

// headerText is how kcat prints headers with %h: keys as C strings, null values as NULL.
func headerText(hs []kgo.RecordHeader) string {
	var parts []string
	for _, h := range hs {
		key, _, _ := strings.Cut(h.Key, "\x00")
		if h.Value == nil {
			parts = append(parts, key+"=NULL")
			continue
		}
		parts = append(parts, key+"="+string(bytes.Clone(h.Value)))
	}
	return strings.Join(parts, ",")
}
