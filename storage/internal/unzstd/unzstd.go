// Package unzstd decompresses zstd in bounded memory, for record batches and for frames of
// segments.
package unzstd

import (
	"errors"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// ErrTooLarge is returned where the content is longer than the limit.
var ErrTooLarge = errors.New("decompressed records exceed the limit")

// decoders spares making a decoder per frame and batch.
var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	return d
}}

// minWindow is what a zstd decoder is allowed at least, in bytes: short
// content may name a window as long, which counts against its limit.
const minWindow = 8 << 20

// Append appends what src decompresses to, at most limit bytes. With room, it
// makes room for as much before, and the decoder takes no more.
func Append(dst, src []byte, limit int, room bool) ([]byte, error) {
	d, ok := decoders.Get().(*zstd.Decoder)
	if !ok {
		return nil, errors.New("no decoder")
	}
	defer decoders.Put(d)
	if room {
		dst = slices.Grow(dst, limit)
		dst = dst[: len(dst) : len(dst)+limit]
	}
	err := d.ResetWithOptions(nil, zstd.WithDecoderMaxMemory(uint64(max(limit, minWindow))), zstd.WithDecodeAllCapLimit(room))
	if err != nil && !errors.Is(err, zstd.ErrDecoderNilInput) { // nil: no stream, DecodeAll alone
		return nil, err
	}
	out, err := d.DecodeAll(src, dst)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) || err == nil && len(out)-len(dst) > limit:
		return nil, ErrTooLarge
	case err != nil:
		return nil, err
	}
	return out, nil
}
