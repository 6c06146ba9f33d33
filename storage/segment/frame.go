package segment

import (
	"crypto/sha256"
	"fmt"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/unzstd"
)

// OpenFrame checks a frame's stored bytes against its digest and returns its
// batches: the stored bytes themselves, or decompressed and appended to dst,
// which should be a slice of length 0 to be reused. Never more than RawLength
// bytes are made. That the batches are those of the frame is checked by their
// headers; their CRCs aren't. Errors are *[DamageError] with the frame's
// offsets, whose Partition is the caller's to fill in.
func OpenFrame(dst, stored []byte, f Frame) ([]byte, error) {
	damage := func(reason string, err error) ([]byte, error) {
		return nil, &DamageError{Part: "frame", Position: f.Position, Length: int64(f.Length),
			BaseOffset: f.BaseOffset, EndOffset: f.EndOffset, Reason: reason, Err: err}
	}
	switch {
	case len(stored) != int(f.Length):
		return damage(fmt.Sprintf("%d bytes of %d", len(stored), f.Length), nil)
	case !f.known():
		return damage("unknown codec, key or length", nil)
	case sha256.Sum256(stored) != f.SHA256:
		return damage("SHA-256 mismatch", nil)
	}
	raw := stored
	if f.Codec == codecZstd {
		start := len(dst)
		dst, err := unzstd.Append(dst, stored, int(f.RawLength), true)
		if err != nil {
			return damage("zstd", err)
		}
		raw = dst[start:]
	}
	if len(raw) != int(f.RawLength) {
		return damage("another length of batches than the index says", nil)
	}
	if err := f.check(raw); err != nil {
		return damage("other batches than the index says", err)
	}
	return raw, nil
}

// check compares the batches' headers with the frame's facts.
func (f *Frame) check(raw []byte) error {
	var s summary
	for len(raw) > 0 {
		b, rest, err := batch.Split(raw)
		if err != nil {
			return err
		}
		if b.BaseOffset() < s.EndOffset {
			return &batch.Error{BaseOffset: b.BaseOffset(), Reason: "begins before the end of the one before it"}
		}
		s.add(b, false)
		raw = rest
	}
	if s.BaseOffset != f.BaseOffset || s.EndOffset != f.EndOffset || s.Records != f.Records ||
		s.MinTimestamp != f.MinTimestamp || s.MaxTimestamp != f.MaxTimestamp {
		return &batch.Error{BaseOffset: s.BaseOffset, Reason: fmt.Sprintf("%d records up to %d", s.Records, s.EndOffset)}
	}
	return nil
}
