package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage/internal/unzstd"
)

// decompress returns what src decompresses to, at most limit bytes, in
// memory of its own. kgo's Decompressor is bounded for kgo's own fetches only.
func decompress(codec int8, src []byte, limit int) ([]byte, error) {
	switch kgo.CompressionCodecType(codec) {
	case kgo.CodecNone:
		if len(src) > limit {
			return nil, ErrTooLarge
		}
		return bytes.Clone(src), nil
	case kgo.CodecGzip:
		r, err := gzip.NewReader(bytes.NewReader(src))
		if err != nil {
			return nil, err
		}
		return readLimited(r, limit)
	case kgo.CodecSnappy:
		return unsnappy(src, limit)
	case kgo.CodecLz4:
		return readLimited(lz4.NewReader(bytes.NewReader(src)), limit)
	case kgo.CodecZstd:
		return unzstd.Append(nil, src, limit, false)
	}
	return nil, errors.New("unknown codec")
}

func readLimited(r io.Reader, limit int) ([]byte, error) {
	if limit == math.MaxInt {
		limit--
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(io.LimitReader(r, int64(limit)+1)); err != nil {
		return nil, err
	}
	if out.Len() > limit {
		return nil, ErrTooLarge
	}
	return out.Bytes(), nil
}

// xerial begins the framing that Java's producer puts around snappy blocks:
// this, two versions, then blocks behind their lengths.
const xerial = "\x82SNAPPY\x00"

var errXerial = errors.New("malformed xerial framing")

func unsnappy(src []byte, limit int) ([]byte, error) {
	if len(src) <= 16 || string(src[:8]) != xerial {
		return unblock(nil, src, limit)
	}
	var out []byte
	for src = src[16:]; len(src) > 0; {
		if len(src) < 4 {
			return nil, errXerial
		}
		n := binary.BigEndian.Uint32(src)
		src = src[4:]
		if uint64(n) > uint64(len(src)) {
			return nil, errXerial
		}
		var err error
		if out, err = unblock(out, src[:n], limit-len(out)); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return out, nil
}

// unblock appends what one snappy block holds.
func unblock(dst, src []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(src)
	switch {
	case err != nil:
		return nil, err
	case n > limit:
		return nil, ErrTooLarge
	}
	block, err := s2.Decode(nil, src)
	if err != nil {
		return nil, err
	}
	if dst == nil {
		return block, nil
	}
	return append(dst, block...), nil
}
