package offsets

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
)

const (
	mapMagic   = "KDRMAP"
	mapVersion = 1
	headLen    = len(mapMagic) + 2
	minRun     = 3 // bytes of a run
)

// MarshalBinary encodes the map: ID, ranges and runs, at most 27 bytes a run
// and 3 where holes and runs are short, behind them a SHA-256 over all of it.
// FORMAT.md in the module's root has every byte. The zero Map has no encoding.
func (m *Map) MarshalBinary() ([]byte, error) { return m.AppendBinary(nil) }

// AppendBinary appends what MarshalBinary returns to b.
func (m *Map) AppendBinary(b []byte) ([]byte, error) {
	if m == nil || !m.known {
		return b, errors.New("offsets: the zero map has no encoding")
	}
	from := len(b)
	b = append(b, mapMagic...)
	b = binary.BigEndian.AppendUint16(b, mapVersion)
	b = appendID(b, m.id)
	for s := range m.start {
		b = binary.AppendUvarint(b, uint64(m.start[s]))
		b = binary.AppendUvarint(b, uint64(m.end[s]-m.start[s]))
	}
	b = binary.AppendUvarint(b, uint64(len(m.runs)))
	at := m.start
	for _, r := range m.runs {
		b = binary.AppendUvarint(b, uint64(r[upstream]-at[upstream]))
		b = binary.AppendUvarint(b, uint64(r[downstream]-at[downstream]))
		b = binary.AppendUvarint(b, uint64(r[length]-1))
		at = [2]int64{r[upstream] + r[length], r[downstream] + r[length]}
	}
	digest := sha256.Sum256(b[from:])
	return append(b, digest[:]...), nil
}

func appendID(b []byte, id ID) []byte {
	b = appendString(b, id.SourceCluster)
	b = appendString(b, id.Topic)
	b = append(b, id.SourceTopicID[:]...)
	b = binary.AppendUvarint(b, uint64(id.Partition))
	b = appendString(b, id.TargetTopic)
	return append(b, id.TargetTopicID[:]...)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// UnmarshalBinary decodes what MarshalBinary made, and nothing else: any map
// has one encoding. It takes at most 10 times the bytes in memory. Errors are
// *[VersionError] (a later version) and *[DamageError]; the map is then as it was.
func (m *Map) UnmarshalBinary(b []byte) error {
	if len(b) < headLen || string(b[:len(mapMagic)]) != mapMagic {
		return &DamageError{Reason: "not an offset map"}
	}
	if v := binary.BigEndian.Uint16(b[len(mapMagic):]); v > mapVersion {
		return &VersionError{Version: int(v)}
	} else if v == 0 {
		return &DamageError{Position: len(mapMagic), Reason: "version 0"}
	}
	body := len(b) - sha256.Size
	if body < headLen || sha256.Sum256(b[:body]) != [sha256.Size]byte(b[body:]) {
		return &DamageError{Position: headLen, Reason: "SHA-256 mismatch"}
	}
	return m.decode(b[:body])
}

// decode decodes what is between head and digest, of bytes that may be anybody's.
func (m *Map) decode(b []byte) error {
	p := parser{b: b, at: headLen}
	d := Map{id: p.id(), known: true}
	for s := range d.start {
		d.start[s] = p.int64()
		d.end[s] = p.add(d.start[s], p.int64())
	}
	d.runs = p.runs(d.start, d.end)
	if p.at < len(b) {
		p.fail("more bytes than a map has")
	}
	if p.err != nil {
		return p.err
	}
	d.reindex()
	*m = d
	return nil
}

// parser reads from b at at. After the first that isn't there or is out of
// range it has an error, and yields zeros.
type parser struct {
	b   []byte
	at  int
	err error
}

func (p *parser) fail(reason string) {
	if p.err == nil {
		p.err = &DamageError{Position: p.at, Reason: reason}
	}
}

// uvarint reads an unsigned integer up to limit, in its shortest form.
func (p *parser) uvarint(limit uint64) uint64 {
	if p.err != nil {
		return 0
	}
	v, n := binary.Uvarint(p.b[p.at:])
	switch {
	case n <= 0 || n > 1 && p.b[p.at+n-1] == 0:
		p.fail("not an integer")
	case v > limit:
		p.fail("too large an integer")
	default:
		p.at += n
		return v
	}
	return 0
}

func (p *parser) int64() int64 { return int64(p.uvarint(math.MaxInt64)) }

// add is the sum of two offsets, if that is one.
func (p *parser) add(a, b int64) int64 {
	if b > math.MaxInt64-a {
		p.fail("beyond the largest offset")
		return 0
	}
	return a + b
}

// bytes reads n bytes, which are the input's own.
func (p *parser) bytes(n int) []byte {
	if p.err == nil && n > len(p.b)-p.at {
		p.fail("cut off")
	}
	if p.err != nil {
		return nil
	}
	p.at += n
	return p.b[p.at-n : p.at]
}

func (p *parser) string() string {
	return string(p.bytes(int(p.uvarint(math.MaxInt32))))
}

func (p *parser) id() (id ID) {
	id.SourceCluster = p.string()
	id.Topic = p.string()
	copy(id.SourceTopicID[:], p.bytes(len(id.SourceTopicID)))
	id.Partition = int32(p.uvarint(math.MaxInt32))
	id.TargetTopic = p.string()
	copy(id.TargetTopicID[:], p.bytes(len(id.TargetTopicID)))
	return id
}

// runs reads the runs of a map of these ranges. Offsets are differences, so
// runs are sorted and disjoint by construction.
func (p *parser) runs(at, end [2]int64) []run {
	n := p.uvarint(math.MaxInt64)
	if p.err == nil && n > uint64(len(p.b)-p.at)/minRun {
		p.fail("more runs than bytes")
	}
	if p.err != nil || n == 0 {
		return nil
	}
	runs := make([]run, n)
	for i := range runs {
		first := at
		r := run{p.add(at[upstream], p.int64()), p.add(at[downstream], p.int64()), p.add(p.int64(), 1)}
		at = [2]int64{p.add(r[upstream], r[length]), p.add(r[downstream], r[length])}
		switch {
		case i > 0 && r[upstream] == first[upstream] && r[downstream] == first[downstream]:
			p.fail("two runs that are one")
		case at[upstream] > end[upstream] || at[downstream] > end[downstream]:
			p.fail("a run beyond the end")
		}
		if p.err != nil {
			return nil
		}
		runs[i] = r
	}
	return runs
}
