package mm2

import (
	"encoding/binary"
	"math"
)

// OffsetSync says where one source record is on the target. It is of one topic by its source name.
type OffsetSync struct {
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	Upstream   int64  `json:"upstream"`
	Downstream int64  `json:"downstream"`
}

// Checkpoint is a group's committed offset on the source, and one on the target at or before the
// same place. It is of one topic by its target name.
type Checkpoint struct {
	Group      string `json:"group"`
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	Upstream   int64  `json:"upstream"`
	Downstream int64  `json:"downstream"`
	Metadata   string `json:"metadata"`
}

// Heartbeat says that a flow was alive, Timestamp being milliseconds since the epoch.
type Heartbeat struct {
	Source    string `json:"source"`
	Target    string `json:"target"`
	Timestamp int64  `json:"timestamp"`
}

// DecodeOffsetSync decodes a record of an offset-syncs topic. The error is [ErrTombstone], with the
// key's fields set, or a [*FormatError]; bytes behind what belongs there are ignored, as Java does.
func DecodeOffsetSync(key, value []byte) (OffsetSync, error) {
	var s OffsetSync
	k := reader{what: "offset sync key", b: key}
	s.Topic, s.Partition = k.string("topic"), k.int32("partition")
	v := k.value("offset sync value", s.Partition, value)
	s.Upstream, s.Downstream = v.int64("upstream offset"), v.int64("offset")
	return s, v.err
}

// Encode is the record's key and value. A topic of more than 32767 bytes is a [*FormatError].
func (s OffsetSync) Encode() (key, value []byte, err error) {
	if key, err = appendStrings(nil, "offset sync key", s.Topic); err != nil {
		return nil, nil, err
	}
	key = binary.BigEndian.AppendUint32(key, uint32(s.Partition))
	value = binary.BigEndian.AppendUint64(nil, uint64(s.Upstream))
	return key, binary.BigEndian.AppendUint64(value, uint64(s.Downstream)), nil
}

// DecodeCheckpoint decodes a record of a checkpoints topic. The error is [ErrTombstone], with
// the key's fields set, or a [*FormatError]. Any version is read as version 0, and
// bytes behind what belongs there are ignored, as Java does.
func DecodeCheckpoint(key, value []byte) (Checkpoint, error) {
	var c Checkpoint
	k := reader{what: "checkpoint key", b: key}
	c.Group, c.Topic, c.Partition = k.string("group"), k.string("topic"), k.int32("partition")
	v := k.value("checkpoint value", c.Partition, value)
	v.int16("version")
	c.Upstream, c.Downstream, c.Metadata = v.int64("upstream offset"), v.int64("offset"), v.string("metadata")
	return c, v.err
}

// Encode is the record's key and value, version 0. A string of more than 32767 bytes is a
// [*FormatError].
func (c Checkpoint) Encode() (key, value []byte, err error) {
	if key, err = appendStrings(nil, "checkpoint key", c.Group, c.Topic); err != nil {
		return nil, nil, err
	}
	key = binary.BigEndian.AppendUint32(key, uint32(c.Partition))
	value = binary.BigEndian.AppendUint16(nil, 0)
	value = binary.BigEndian.AppendUint64(value, uint64(c.Upstream))
	value = binary.BigEndian.AppendUint64(value, uint64(c.Downstream))
	value, err = appendStrings(value, "checkpoint value", c.Metadata)
	return key, value, err
}

// DecodeHeartbeat decodes a record of a heartbeats topic, as [DecodeCheckpoint] does.
func DecodeHeartbeat(key, value []byte) (Heartbeat, error) {
	var h Heartbeat
	k := reader{what: "heartbeat key", b: key}
	h.Source, h.Target = k.string("source"), k.string("target")
	v := k.value("heartbeat value", 0, value)
	v.int16("version")
	h.Timestamp = v.int64("timestamp")
	return h, v.err
}

// Encode is the record's key and value, version 0. A string of more than 32767 bytes is a
// [*FormatError].
func (h Heartbeat) Encode() (key, value []byte, err error) {
	if key, err = appendStrings(nil, "heartbeat key", h.Source, h.Target); err != nil {
		return nil, nil, err
	}
	return key, binary.BigEndian.AppendUint64([]byte{0, 0}, uint64(h.Timestamp)), nil
}

func appendStrings(b []byte, what string, ss ...string) ([]byte, error) {
	for _, s := range ss {
		if len(s) > math.MaxInt16 {
			return nil, &FormatError{What: what, Reason: "a string of more than 32767 bytes"}
		}
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	}
	return b, nil
}

// reader takes Kafka's primitive types off a byte slice; the first fault stays.
type reader struct {
	what string
	b    []byte
	err  error
}

// value reads on in the value of the record whose key r has read. A tombstone's key is read all the
// same.
func (r *reader) value(what string, partition int32, value []byte) *reader {
	switch {
	case r.err != nil:
	case partition < 0:
		r.err = &FormatError{What: r.what, Reason: "a negative partition"}
	case value == nil:
		r.err = ErrTombstone
	}
	return &reader{what: what, b: value, err: r.err}
}

func (r *reader) take(n int, field string) []byte {
	if r.err == nil && len(r.b) < n {
		r.err = &FormatError{What: r.what, Reason: field + " is cut short"}
	}
	if r.err != nil {
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) int16(field string) int16 {
	if b := r.take(2, field); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (r *reader) int32(field string) int32 {
	if b := r.take(4, field); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (r *reader) int64(field string) int64 {
	if b := r.take(8, field); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (r *reader) string(field string) string {
	n := int(r.int16(field))
	if r.err == nil && n < 0 {
		r.err = &FormatError{What: r.what, Reason: field + " has a negative length"}
	}
	return string(r.take(max(n, 0), field))
}
