package mirror

import (
	"context"
	"sync"
)

// maxWorkers is how many partitions are appended to at once. Each has at most queueBytes under way beside one batch.
const maxWorkers = 256

// workers are goroutines that take partitions from a line until it is empty: there are only as many as have something to do.
type workers struct {
	run func(p *part)

	mu     sync.Mutex
	queue  []*part
	busy   int
	closed bool
	wg     sync.WaitGroup
}

// line puts a partition in the line.
func (w *workers) line(p *part) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.queue = append(w.queue, p)
	if w.busy < maxWorkers {
		w.busy++
		w.wg.Go(w.work)
	}
}

func (w *workers) work() {
	for {
		w.mu.Lock()
		if len(w.queue) == 0 {
			w.busy--
			w.mu.Unlock()
			return
		}
		p := w.queue[0]
		w.queue[0] = nil
		w.queue = w.queue[1:]
		w.mu.Unlock()
		w.run(p)
	}
}

// close takes nobody any more, and waits for those at work.
func (w *workers) close() {
	w.mu.Lock()
	w.closed, w.queue = true, nil
	w.mu.Unlock()
	w.wg.Wait()
}

// newWorkers are workers that append until ctx ends.
func (e *engine) newWorkers(ctx context.Context) *workers {
	return &workers{run: func(p *part) { e.append(ctx, p) }}
}
