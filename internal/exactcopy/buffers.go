package exactcopy

import (
	"math/bits"
	"sync"
)

// buffers are byte slices for requests, kept in sizes of four steps per doubling from 1 KiB up. A
// sync.Pool would lose them at each collection, and making one means clearing it.
type buffers struct {
	mu   sync.Mutex
	free [classes][][]byte
	held int // bytes
}

const (
	classes = 80 // up to 1 GiB
	// maxHeld bounds what is kept for later.
	maxHeld = 16 << 20
)

// class is the smallest size that has room for n bytes.
func class(n int) (class, size int) {
	if n <= 1024 {
		return 0, 1024
	}
	doubling := bits.Len(uint(n-1)) - 1 // 2^doubling < n
	step := 1 << (doubling - 2)
	quarter := (n - 1 - 1<<doubling) / step
	return (doubling-10)*4 + quarter + 1, 1<<doubling + (quarter+1)*step
}

// get returns an empty slice with room for n bytes.
func (b *buffers) get(n int) []byte {
	c, size := class(n)
	if c >= classes {
		return make([]byte, 0, n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if last := len(b.free[c]) - 1; last >= 0 {
		buf := b.free[c][last]
		b.free[c][last] = nil
		b.free[c] = b.free[c][:last]
		b.held -= cap(buf)
		return buf[:0]
	}
	return make([]byte, 0, size)
}

// put takes a slice back. Nothing may read it any more.
func (b *buffers) put(buf []byte) {
	c, size := class(cap(buf))
	b.mu.Lock()
	defer b.mu.Unlock()
	if c < classes && cap(buf) == size && b.held+size <= maxHeld {
		b.free[c] = append(b.free[c], buf)
		b.held += size
	}
}
