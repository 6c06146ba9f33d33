package exactcopy

import (
	"math/bits"
	"sync"
)

// buffers are byte slices for requests, pooled by powers of two from 1 KiB up.
type buffers struct {
	pools [20]sync.Pool
}

func class(n int) int { return max(bits.Len(uint(max(n, 1)-1))-10, 0) }

// get returns an empty slice with room for n bytes.
func (b *buffers) get(n int) []byte {
	c := class(n)
	if c >= len(b.pools) {
		return make([]byte, 0, n)
	}
	if p, ok := b.pools[c].Get().(*[]byte); ok {
		return (*p)[:0]
	}
	return make([]byte, 0, 1<<(c+10))
}

// put takes a slice back. Nothing may read it any more.
func (b *buffers) put(s []byte) {
	c := class(cap(s))
	if c < len(b.pools) && cap(s) == 1<<(c+10) {
		b.pools[c].Put(&s)
	}
}
