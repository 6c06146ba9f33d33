package segment

import "container/heap"

// buffers are the frame buffers of a Writer's partitions, the largest first.
// What they take is counted by capacity, so that it is bounded truly. A
// buffer is kept for the next frame when its own was written, until another
// partition needs the memory.
type buffers struct {
	heap   []*runWriter
	memory int // capacity of all
	length int // bytes held by all
	open   int // buffers that hold bytes
}

// hold copies a batch to the end of the run's open frame.
func (w *Writer) hold(r *runWriter, raw []byte) {
	if need := len(r.buf) + len(raw); need > cap(r.buf) {
		w.grow(r, need)
	}
	if len(r.buf) == 0 {
		w.buffers.open++
	}
	r.buf = append(r.buf, raw...)
	w.buffers.length += len(raw)
}

// minBuffer is the least capacity of a buffer, in bytes.
const minBuffer = 4 << 10

// grow gives the run a buffer of at least need bytes, twice the last one's,
// at most a frame's; other partitions' frames end early to make room. The
// run itself is out of the heap meanwhile, since its batch is half taken.
func (w *Writer) grow(r *runWriter, need int) {
	b := &w.buffers
	size := min(max(need, 2*cap(r.buf), minBuffer), max(w.o.FrameBytes, need))
	old := r.buf
	b.remove(r)
	for b.memory+size > w.o.BufferBytes && len(b.heap) > 0 {
		fullest := b.heap[0]
		if len(fullest.buf) > 0 {
			w.endFrame(fullest, fullest.buf)
		}
		b.drop(fullest)
	}
	r.buf = append(make([]byte, 0, size), old...)
	b.memory += size
	heap.Push(b, r)
}

// remove takes the run's buffer out of the count, drop gives it up as well.
func (b *buffers) remove(r *runWriter) {
	if r.index >= 0 {
		b.memory -= cap(r.buf)
		heap.Remove(b, r.index)
	}
}

func (b *buffers) drop(r *runWriter) {
	b.remove(r)
	r.buf = nil
}

// empty notes that the run's frame was written.
func (b *buffers) empty(r *runWriter) {
	if len(r.buf) > 0 {
		b.open--
		b.length -= len(r.buf)
		r.buf = r.buf[:0]
	}
}

// Len, Less, Swap, Push and Pop are [heap.Interface].

func (b *buffers) Len() int           { return len(b.heap) }
func (b *buffers) Less(i, j int) bool { return cap(b.heap[i].buf) > cap(b.heap[j].buf) }

func (b *buffers) Swap(i, j int) {
	b.heap[i], b.heap[j] = b.heap[j], b.heap[i]
	b.heap[i].index, b.heap[j].index = i, j
}

func (b *buffers) Push(x any) {
	r, _ := x.(*runWriter)
	r.index = len(b.heap)
	b.heap = append(b.heap, r)
}

func (b *buffers) Pop() any {
	r := b.heap[len(b.heap)-1]
	b.heap[len(b.heap)-1] = nil
	b.heap = b.heap[:len(b.heap)-1]
	r.index = -1
	return r
}
