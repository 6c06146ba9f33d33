package batch

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Attributes of messages of magic 0 and 1.
const (
	legacyCodecMask     = 0x07
	legacyLogAppendTime = 0x08
)

// legacyOverhead is the least length of a message, its offset and size included.
const legacyOverhead = 26

// ConvertLegacy re-encodes messages and compressed message sets of magic 0
// and 1 as one batch of magic 2 each, of the same codec; offsets and
// timestamps, as consumers see them, stay. A message of magic 0 has timestamp
// -1. Batches of magic 2 stay as they are; raw itself is returned where there
// are no others. A short message at the end is left out, a short batch stays.
// CRCs of messages are checked. Errors are *[Error].
func ConvertLegacy(raw []byte) ([]byte, error) {
	var out []byte
	rest := raw
	for len(rest) >= 17 {
		if rest[16] == 2 {
			_, behind, err := Split(rest)
			if errors.Is(err, ErrShort) {
				break
			}
			if err != nil {
				return nil, err
			}
			if out != nil {
				out = append(out, rest[:len(rest)-len(behind)]...)
			}
			rest = behind
			continue
		}
		if out == nil {
			out = append(make([]byte, 0, len(raw)+HeaderSize), raw[:len(raw)-len(rest)]...)
		}
		m, behind, err := splitMessage(rest)
		if errors.Is(err, ErrShort) {
			return out, nil
		}
		if err == nil {
			out, err = m.convert(out)
		}
		if err != nil {
			return nil, err
		}
		rest = behind
	}
	if out == nil {
		return raw, nil
	}
	return append(out, rest...), nil
}

// message is one message of magic 0 or 1.
type message struct {
	magic, attributes int8
	offset, timestamp int64
	key, value        []byte
}

func (m *message) codec() int8 { return m.attributes & legacyCodecMask }

func (m *message) fail(reason string, err error) error {
	return &Error{BaseOffset: m.offset, Reason: reason, Err: err}
}

// splitMessage takes the first message off the front of raw.
func splitMessage(raw []byte) (m message, rest []byte, err error) {
	if len(raw) < 17 {
		return m, raw, ErrShort
	}
	m.offset = int64(binary.BigEndian.Uint64(raw))
	m.magic = int8(raw[16])
	n := int64(int32(binary.BigEndian.Uint32(raw[8:]))) + 12
	switch {
	case m.magic != 0 && m.magic != 1:
		return m, raw, m.fail("unknown magic", nil)
	case n < legacyOverhead || m.offset < 0 || m.offset == math.MaxInt64:
		return m, raw, m.fail("message's length or offset out of range", nil)
	case n > int64(len(raw)):
		return m, raw, ErrShort
	case crc32.ChecksumIEEE(raw[16:n]) != binary.BigEndian.Uint32(raw[12:]):
		return m, raw, m.fail("CRC-32 mismatch", nil)
	}
	return m, raw[n:], m.read(raw[:n])
}

func (m *message) read(raw []byte) error {
	length := legacyOverhead
	if m.magic == 0 {
		var v kmsg.MessageV0
		if err := v.ReadFrom(raw); err != nil {
			return m.fail("malformed message", err)
		}
		m.attributes, m.timestamp, m.key, m.value = v.Attributes, -1, v.Key, v.Value
	} else {
		var v kmsg.MessageV1
		if err := v.ReadFrom(raw); err != nil {
			return m.fail("malformed message", err)
		}
		m.attributes, m.timestamp, m.key, m.value = v.Attributes, v.Timestamp, v.Key, v.Value
		length += 8
	}
	if length+len(m.key)+len(m.value) != len(raw) {
		return m.fail("bytes behind the message", nil)
	}
	return nil
}

// convert appends the message, or the set that it wraps, as a batch.
func (m *message) convert(dst []byte) ([]byte, error) {
	inner := []message{*m}
	if m.codec() != 0 {
		var err error
		if inner, err = m.unwrap(); err != nil {
			return nil, err
		}
	}
	rs := make([]*kgo.Record, len(inner))
	for i := range inner {
		rs[i] = &kgo.Record{Key: inner[i].key, Value: inner[i].value, Offset: inner[i].offset, Timestamp: time.UnixMilli(inner[i].timestamp)}
	}
	codecs := [...]kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression()}
	return Append(dst, rs[0].Offset, codecs[m.codec()], rs...)
}

// unwrap returns the messages of a compressed set. In one of magic 1, offsets
// count from the set's start and the wrapper has the last one's, or 0, which
// old producers wrote, for offsets as they are; a wrapper that the broker
// stamped stamps them all. In one of magic 0 offsets are as they are.
func (m *message) unwrap() ([]message, error) {
	if m.codec() > int8(kgo.CodecLz4) {
		return nil, m.fail("unknown codec", nil)
	}
	raw, err := decompress(m.codec(), m.value, DefaultMaxDecode)
	if err != nil {
		return nil, m.fail("message set can't be decompressed", err)
	}
	var set []message
	for len(raw) > 0 {
		in, rest, err := splitMessage(raw)
		if err != nil || in.codec() != 0 || in.magic > m.magic {
			return nil, m.fail("malformed message set", err)
		}
		if m.magic == 1 && m.attributes&legacyLogAppendTime != 0 {
			in.timestamp = m.timestamp
		}
		set, raw = append(set, in), rest
	}
	if len(set) == 0 {
		return nil, m.fail("empty message set", nil)
	}
	shift := m.offset - set[len(set)-1].offset
	switch {
	case m.magic == 0 || m.offset == 0:
		return set, nil
	case shift < 0:
		return nil, m.fail("message set ends behind its wrapper", nil)
	}
	for i := range set {
		set[i].offset += shift
	}
	return set, nil
}
