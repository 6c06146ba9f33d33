package mirror

import (
	"context"
	"sync"
)

// maxWorkers is how many partitions of one broker are appended to at once. Each has at most
// queueBytes under way beside one batch.
const maxWorkers = 256

// workers are goroutines that take partitions from a line until it is empty: there are only as many
// as have something to do. Each broker of the standby has a line and workers of its own: those of
// one that stands still wait for it, and nobody else does.
type workers struct {
	run func(p *part)

	mu     sync.Mutex
	lines  map[int32]*line
	closed bool
	wg     sync.WaitGroup
}

// line is who waits for a worker of one broker.
type line struct {
	queue []*part
	busy  int
}

// line puts a partition in the line of the broker that leads it.
func (w *workers) line(broker int32, p *part) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	l := w.lines[broker]
	if l == nil {
		l = &line{}
		w.lines[broker] = l
	}
	l.queue = append(l.queue, p)
	if l.busy < maxWorkers {
		l.busy++
		w.wg.Go(func() { w.work(l) })
	}
}

func (w *workers) work(l *line) {
	for {
		w.mu.Lock()
		if len(l.queue) == 0 {
			l.busy--
			w.mu.Unlock()
			return
		}
		p := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		w.mu.Unlock()
		w.run(p)
	}
}

// close takes nobody any more, and waits for those at work.
func (w *workers) close() {
	w.mu.Lock()
	w.closed = true
	for _, l := range w.lines {
		l.queue = nil
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// newWorkers are workers that append until ctx ends.
func (e *engine) newWorkers(ctx context.Context) *workers {
	return &workers{run: func(p *part) { e.append(ctx, p) }, lines: make(map[int32]*line)}
}
