// Package wire encodes and decodes the integers, strings and digests of the archive's manifests.
//
// Integers are uvarints and zigzag varints as encoding/binary has them, strings are a uvarint
// length and the bytes. A Decoder is made for bytes from outside: it never reads beyond its input,
// never allocates for a count or length that the input can't hold, and keeps its first error, so
// that a codec checks once, at its end.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error of a Decoder.
var ErrMalformed = errors.New("malformed")

// Encoder appends to B. The zero value is ready.
type Encoder struct{ B []byte }

// Uvarint appends an unsigned integer.
func (e *Encoder) Uvarint(u uint64) { e.B = binary.AppendUvarint(e.B, u) }

// Varint appends a signed integer.
func (e *Encoder) Varint(i int64) { e.B = binary.AppendVarint(e.B, i) }

// Raw appends bytes without their length.
func (e *Encoder) Raw(p []byte) { e.B = append(e.B, p...) }

// Bytes appends a length and bytes.
func (e *Encoder) Bytes(p []byte) {
	e.Uvarint(uint64(len(p)))
	e.Raw(p)
}

// String appends a length and the string's bytes, whatever they are.
func (e *Encoder) String(s string) {
	e.Uvarint(uint64(len(s)))
	e.B = append(e.B, s...)
}

// OptString appends a string that may be missing.
func (e *Encoder) OptString(s *string) {
	e.Bool(s != nil)
	if s != nil {
		e.String(*s)
	}
}

// Bool appends one byte, 0 or 1.
func (e *Encoder) Bool(b bool) {
	if b {
		e.B = append(e.B, 1)
		return
	}
	e.B = append(e.B, 0)
}

// Decoder takes values off the front of bytes. After its first error it returns zero values.
type Decoder struct {
	b   []byte
	err error
}

// NewDecoder reads b, which is not copied.
func NewDecoder(b []byte) *Decoder { return &Decoder{b: b} }

// Fail notes an error of the caller's.
func (d *Decoder) Fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
	}
	d.b = nil
}

// Err is the first error.
func (d *Decoder) Err() error { return d.err }

// Done is the first error, or one that says that bytes are left.
func (d *Decoder) Done() error {
	if d.err == nil && len(d.b) != 0 {
		d.Fail("%d bytes too many", len(d.b))
	}
	return d.err
}

// Len is how many bytes are left.
func (d *Decoder) Len() int { return len(d.b) }

// Uvarint takes an unsigned integer.
func (d *Decoder) Uvarint() uint64 {
	u, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.Fail("integer")
		return 0
	}
	d.b = d.b[n:]
	return u
}

// Int takes an unsigned integer that must not be above limit.
func (d *Decoder) Int(limit int64) int64 {
	u := d.Uvarint()
	if u > uint64(limit) {
		d.Fail("integer %d above %d", u, limit)
		return 0
	}
	return int64(u)
}

// Varint takes a signed integer.
func (d *Decoder) Varint() int64 {
	i, n := binary.Varint(d.b)
	if n <= 0 {
		d.Fail("integer")
		return 0
	}
	d.b = d.b[n:]
	return i
}

// Varint32 takes a signed integer of 32 bits.
func (d *Decoder) Varint32() int32 {
	i := d.Varint()
	if int64(int32(i)) != i {
		d.Fail("integer %d of more than 32 bits", i)
		return 0
	}
	return int32(i)
}

// Count takes a number of elements of at least size bytes each.
func (d *Decoder) Count(size int) int {
	u := d.Uvarint()
	if u > uint64(len(d.b)/max(size, 1)) {
		d.Fail("count %d", u)
		return 0
	}
	return int(u)
}

// Raw takes n bytes, which are shared with the input.
func (d *Decoder) Raw(n int) []byte {
	if n < 0 || n > len(d.b) {
		d.Fail("%d bytes of %d", n, len(d.b))
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

// Bytes takes a length and bytes, which are shared with the input.
func (d *Decoder) Bytes() []byte { return d.Raw(d.Count(1)) }

// String takes a string.
func (d *Decoder) String() string { return string(d.Bytes()) }

// OptString takes a string that may be missing.
func (d *Decoder) OptString() *string {
	if !d.Bool() {
		return nil
	}
	s := d.String()
	return &s
}

// Bool takes one byte, 0 or 1.
func (d *Decoder) Bool() bool {
	p := d.Raw(1)
	if len(p) == 1 && p[0] > 1 {
		d.Fail("boolean %d", p[0])
	}
	return len(p) == 1 && p[0] == 1
}

// Digest takes 32 bytes.
func (d *Decoder) Digest() (sum [32]byte) {
	copy(sum[:], d.Raw(32))
	return sum
}
