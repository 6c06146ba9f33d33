package batch

import (
	"encoding/binary"
	"hash/crc32"
)

// powers are x^(8·2^k) modulo CRC-32C's polynomial: what 2^k bytes move a checksum on by.
var powers = func() (p [31]uint32) {
	p[0] = 1 << 23 // x^8: the highest bit is x^0
	for k := 1; k < len(p); k++ {
		p[k] = times(p[k-1], p[k-1])
	}
	return p
}()

// times multiplies two polynomials over GF(2), modulo CRC-32C's.
func times(a, b uint32) (product uint32) {
	for ; a != 0; a <<= 1 {
		product ^= b & -(a >> 31)
		b = b>>1 ^ crc32.Castagnoli&-(b&1)
	}
	return product
}

// behind is what a difference between two checksums becomes when the same n bytes follow both.
func behind(difference uint32, n int) uint32 {
	for k := 0; n > 0; k, n = k+1, n>>1 {
		if n&1 == 1 {
			difference = times(difference, powers[k])
		}
	}
	return difference
}

// headerSum is the CRC-32C of the part of a batch's header that its CRC covers.
func headerSum(raw []byte) uint32 { return crc32.Checksum(raw[21:HeaderSize], castagnoli) }

// resum makes the batch's CRC, right or wrong, what it would be with another header, whose checksum
// was was. The records aren't read: where they have been damaged, the CRC goes on saying so.
func resum(raw []byte, was uint32) {
	sum := binary.BigEndian.Uint32(raw[17:])
	binary.BigEndian.PutUint32(raw[17:], sum^behind(was^headerSum(raw), len(raw)-HeaderSize))
}
