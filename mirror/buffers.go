package mirror

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"sync"

	"github.com/kafkadr/kafkadr/storage/segment"
)

// buffers are reused, by size: powers of two.
type buffers struct{ pools [27]sync.Pool }

const minBuffer = 10 // 1 KiB

func (b *buffers) get(n int) []byte {
	class := max(bits.Len(uint(max(n, 1)-1)), minBuffer)
	if class >= len(b.pools) {
		return make([]byte, 0, n)
	}
	if buf, ok := b.pools[class].Get().(*[]byte); ok {
		return (*buf)[:0]
	}
	return make([]byte, 0, 1<<class)
}

func (b *buffers) put(buf []byte) {
	class := bits.Len(uint(cap(buf))) - 1
	if class >= minBuffer && class < len(b.pools) && cap(buf) == 1<<class {
		b.pools[class].Put(&buf)
	}
}

// crcOf is the batch's own CRC-32C, from its header.
func crcOf(b segment.Batch) uint32 { return binary.BigEndian.Uint32(b.Raw()[17:]) }

func isErr(err, is error) bool { return errors.Is(err, is) }
