package segment

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

const fuzzLimit = 1 << 20

// FuzzOpen takes any object, as it is and with digests made right, so that
// more than the digests is tried: an error, or everything in it can be read.
func FuzzOpen(f *testing.F) {
	object, _, _ := small(f)
	f.Add(object)
	f.Add(object[:len(object)-1])
	f.Add(forge(nil, Version, nil))
	f.Add(forge(batchtest.Plain(f, 10, 3).Raw(), Version, nil, honest(f, batchtest.Plain(f, 10, 3))))
	f.Fuzz(func(t *testing.T, object []byte) {
		for _, o := range [][]byte{object, resign(object)} {
			_, readErr := read(o)
			if err := verify(o); err == nil && readErr != nil {
				t.Fatalf("Verify finds nothing, reading does: %v", readErr)
			}
		}
	})
}

// resign makes the digests of directory and footer right, and the length.
func resign(object []byte) []byte {
	o := bytes.Clone(object)
	if len(o) < headerLen+footerLen {
		return o
	}
	end := o[len(o)-footerLen:]
	at, n := binary.BigEndian.Uint64(end[8:]), binary.BigEndian.Uint64(end[16:])
	if size := uint64(len(o)); at <= size && n <= size-at {
		sum := sha256.Sum256(o[at : at+n])
		copy(end[32:], sum[:])
	}
	binary.BigEndian.PutUint64(end[64:], uint64(len(o)))
	sum := sha256.Sum256(end[:96])
	copy(end[96:], sum[:])
	return o
}

// FuzzParseRun takes any run block, its digest right: what is accepted encodes to the same run.
func FuzzParseRun(f *testing.F) {
	object, _, infos := small(f)
	for _, i := range infos {
		f.Add(object[i.Block.Position : i.Block.Position+int64(i.Block.Length)])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		block := Block{Position: 1 << 30, Length: int32(len(raw)), SHA256: sha256.Sum256(raw)}
		run, err := ParseRun(raw, block)
		if err != nil {
			return
		}
		again := appendBlock(nil, run)
		if _, err := ParseRun(again, Block{Position: 1 << 30, Length: int32(len(again)), SHA256: sha256.Sum256(again)}); err != nil {
			t.Fatalf("re-encoded: %v", err)
		}
	})
}

// FuzzOpenFrame takes any stored bytes, their digest right.
func FuzzOpenFrame(f *testing.F) {
	b := batchtest.Plain(f, 10, 3)
	f.Add(b.Raw(), int32(b.Len()), uint8(0), int64(10), int64(13), int64(3))
	packed := batchtest.Zipped(f, 4, b.Raw())
	f.Add(packed, int32(b.Len()), uint8(4), int64(10), int64(13), int64(3))
	f.Fuzz(func(t *testing.T, stored []byte, length int32, codec uint8, base, end, records int64) {
		frame := Frame{Position: headerLen, Length: int32(len(stored)), RawLength: min(length, fuzzLimit), Codec: codec,
			SHA256: sha256.Sum256(stored), BaseOffset: base, EndOffset: end, Records: records,
			MinTimestamp: 1700000000000, MaxTimestamp: 1700000000002}
		raw, err := OpenFrame(nil, stored, frame)
		if err == nil && len(raw) != int(frame.RawLength) {
			t.Fatalf("%d bytes of %d", len(raw), frame.RawLength)
		}
	})
}
