package segment

import (
	"encoding/binary"
	"math"
)

// parser reads integers from the front of b. After the first that isn't
// there or is out of range it is bad, and yields zeros.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) fail() {
	p.bad = true
	p.b = nil
}

// uvarint reads an unsigned integer that is at most limit.
func (p *parser) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 || v > limit {
		p.fail()
		return 0
	}
	p.b = p.b[n:]
	return v
}

// int64 reads an unsigned integer that an int64 holds, int32 one that an int32 does.
func (p *parser) int64() int64 { return int64(p.uvarint(math.MaxInt64)) }
func (p *parser) int32() int32 { return int32(p.uvarint(math.MaxInt32)) }

// varint reads a signed integer.
func (p *parser) varint() int64 {
	v, n := binary.Varint(p.b)
	if n <= 0 {
		p.fail()
		return 0
	}
	p.b = p.b[n:]
	return v
}

// end reads the distance from base to an end offset beyond it.
func (p *parser) end(base int64) int64 {
	span := p.int64()
	if span == 0 || span > math.MaxInt64-base {
		p.fail()
		return 0
	}
	return base + span
}

// count reads a number of things that take at least size bytes each.
func (p *parser) count(size int) int {
	return int(p.uvarint(uint64(len(p.b) / size)))
}

func (p *parser) byte() byte {
	if len(p.b) == 0 {
		p.fail()
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *parser) digest() (d Digest) {
	if len(p.b) < len(d) {
		p.fail()
		return d
	}
	p.b = p.b[copy(d[:], p.b):]
	return d
}

func (p *parser) topic() (id [16]byte) {
	if len(p.b) < len(id) {
		p.fail()
		return id
	}
	p.b = p.b[copy(id[:], p.b):]
	return id
}
