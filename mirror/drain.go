package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
)

const (
	// stillFor is how long a broker of the standby gets nothing appended until Stop doesn't wait
	// for it any more.
	stillFor = 3 * time.Second
	// flushFor is how long Stop waits for what a partition's leader has appended to become durable,
	// notesFor for the ledger.
	flushFor = 2 * time.Second
	notesFor = 5 * time.Second
)

// drain ends cleanly: what was read is appended and durable, and positions are noted. A broker that
// stands still isn't waited for: what it lacks is read again by the next mirror.
func (e *engine) drain(ctx context.Context) error {
	e.mu.Lock()
	e.draining = true // nothing is read on, nor by looks that are under way
	e.mu.Unlock()
	e.steer(e.all()...)
	if err := e.idle(ctx); err != nil {
		return err
	}
	if err := e.flush(ctx); err != nil {
		return err
	}
	nctx, cancel := context.WithTimeout(ctx, notesFor)
	defer cancel()
	return e.noteAll(nctx, e.toNote(false))
}

// progress is how far a broker's partitions have got.
type progress struct {
	sum int64
	at  time.Time // when that was seen first
}

// idle waits until no worker has anything, but for those of brokers that stand still.
func (e *engine) idle(ctx context.Context) error {
	last := make(map[int32]progress)
	tick := time.NewTicker(loopTick)
	defer tick.Stop()
	for {
		busy, now := false, time.Now()
		for broker, ps := range e.byBroker(func(p *part) bool { return p.working }) {
			sum := e.positions(ps)
			if was, ok := last[broker]; !ok || was.sum != sum {
				last[broker] = progress{sum, now}
			}
			busy = busy || now.Sub(last[broker].at) < stillFor
		}
		if !busy {
			return nil
		}
		e.mu.Lock()
		moved := e.moved
		e.mu.Unlock()
		select {
		case <-moved:
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// positions is a sum that changes with what is appended of partitions, or with which of them are at
// work.
func (e *engine) positions(ps []*part) (sum int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range ps {
		p.reached()
		sum += p.copy.Position() + 1
	}
	return sum
}

// flush waits until what was appended is durable, each broker's partitions by themselves.
func (e *engine) flush(ctx context.Context) error {
	errs := make(chan error, 1)
	var wg sync.WaitGroup
	for broker, ps := range e.byBroker(func(p *part) bool { return p.copy.IsOpen() && p.state() == Copying && !p.working }) {
		wg.Go(func() {
			if err := flushAll(ctx, ps); err != nil {
				select {
				case errs <- fmt.Errorf("flush, broker %d: %w", broker, err):
				default:
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// flushAll flushes partitions of one broker, some at once. After one that wasn't durable in time
// the others aren't waited for either.
func flushAll(ctx context.Context, ps []*part) error {
	next := make(chan *part, len(ps))
	for _, p := range ps {
		next <- p
	}
	close(next)
	fctx, end := context.WithCancel(ctx)
	defer end()
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	for range min(comparers, len(ps)) {
		wg.Go(func() {
			for p := range next {
				if fctx.Err() != nil {
					return
				}
				err := flushOne(fctx, p)
				if errors.Is(err, context.DeadlineExceeded) {
					end()
				} else if err != nil && fctx.Err() == nil {
					mu.Lock()
					failed = err
					mu.Unlock()
					end()
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failed
}

func flushOne(ctx context.Context, p *part) error {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	err := p.copy.Flush(ctx, true)
	if errors.Is(err, exactcopy.ErrUndecided) && ctx.Err() == nil || errors.Is(err, exactcopy.ErrClosed) {
		return nil
	}
	return err
}
