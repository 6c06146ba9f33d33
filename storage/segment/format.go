package segment

import (
	"crypto/sha256"
	"encoding/binary"
)

// Version is the format version that this package writes, and the newest it reads.
const Version = 1

// Lengths of the parts with a fixed one, in bytes.
const (
	headerLen = 16
	footerLen = 128
)

// maxUnpacked bounds what one compressed frame may hold, whatever its index
// says. A Writer doesn't compress longer frames.
const maxUnpacked = 256 << 20

// magic begins every segment, and stands in its footer, the version behind it.
const magic = "KDRSEG"

// Codecs of a frame.
const (
	codecNone uint8 = 0
	codecZstd uint8 = 4
)

// appendHeader appends the object's first bytes:
//
//	0 "KDRSEG"   6 version uint16   8 zeros
func appendHeader(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = binary.BigEndian.AppendUint16(dst, Version)
	return append(dst, make([]byte, 8)...)
}

// footer is the object's last 128 bytes, integers big-endian:
//
//	 0 position of the first run block uint64 (the end of the frames)
//	 8 position of the directory uint64 (the end of the run blocks)
//	16 length of the directory uint64
//	24 number of runs uint64
//	32 SHA-256 of the directory
//	64 length of the object uint64
//	72 zeros
//	88 "KDRSEG"   94 version uint16
//	96 SHA-256 of the 96 bytes before
//
// In every version the last 40 bytes are these, so that an older reader can
// tell a newer version from damage.
type footer struct {
	blocks, directory, length uint64
	runs                      uint64
	digest                    Digest
}

func (f footer) appendTo(dst []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, f.blocks)
	dst = binary.BigEndian.AppendUint64(dst, f.directory)
	dst = binary.BigEndian.AppendUint64(dst, f.length)
	dst = binary.BigEndian.AppendUint64(dst, f.runs)
	dst = append(dst, f.digest[:]...)
	dst = binary.BigEndian.AppendUint64(dst, f.directory+f.length+footerLen)
	dst = append(dst, make([]byte, 16)...)
	dst = append(dst, magic...)
	dst = binary.BigEndian.AppendUint16(dst, Version)
	sum := sha256.Sum256(dst[start:])
	return append(dst, sum[:]...)
}

// parseFooter checks and decodes the last bytes of an object of that size.
func parseFooter(raw []byte, size int64) (footer, error) {
	damage := func(reason string) (footer, error) {
		return footer{}, &DamageError{Part: "footer", Position: size - footerLen, Length: footerLen, Reason: reason}
	}
	switch {
	case string(raw[88:94]) != magic:
		return damage("not a segment, or cut short: no magic at the end")
	case sha256.Sum256(raw[:96]) != Digest(raw[96:128]):
		return damage("SHA-256 mismatch")
	}
	if v := binary.BigEndian.Uint16(raw[94:]); v > Version {
		return footer{}, &VersionError{Version: int(v)}
	} else if v < 1 {
		return damage("no such version")
	}
	f := footer{
		blocks:    binary.BigEndian.Uint64(raw),
		directory: binary.BigEndian.Uint64(raw[8:]),
		length:    binary.BigEndian.Uint64(raw[16:]),
		runs:      binary.BigEndian.Uint64(raw[24:]),
		digest:    Digest(raw[32:64]),
	}
	end := uint64(size - footerLen)
	switch {
	case binary.BigEndian.Uint64(raw[64:]) != uint64(size):
		return damage("the object has another length")
	case binary.BigEndian.Uint64(raw[72:])|binary.BigEndian.Uint64(raw[80:]) != 0:
		return damage("reserved bytes are not zero")
	case f.blocks < headerLen || f.blocks > f.directory || f.directory > end || f.length != end-f.directory:
		return damage("parts out of place")
	case f.runs > f.length/minDirectoryEntry:
		return damage("more runs than the directory has room for")
	}
	return f, nil
}
