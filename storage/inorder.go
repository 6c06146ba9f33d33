package storage

import (
	"context"
	"iter"
	"sync"
)

// readsAhead bounds how many reads an archive has under way that nobody waits for yet.
const readsAhead = 64

// place waits for a place among the reads ahead, which the func that it returns gives back. Where
// ctx has ended nothing needs one.
func (a *Archive) place(ctx context.Context) (leave func()) {
	select {
	case a.ahead <- struct{}{}:
		return func() { <-a.ahead }
	case <-ctx.Done():
		return func() {}
	}
}

// inOrder calls f for the items of seq side by side, as many as the archive's reads ahead allow,
// and yields what it returned in the order of the items. seq's errors are yielded in their places.
// f must not call inOrder.
func inOrder[T, R any](ctx context.Context, a *Archive, seq iter.Seq2[T, error], f func(context.Context, T) R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		next, stop := iter.Pull2(seq)
		defer stop()
		var queue []*result[R]
		for more := true; ; {
			for more && len(queue) < readsAhead {
				item, err, ok := next()
				if more = ok; !ok {
					break
				}
				r := &result[R]{err: err, done: make(chan struct{})}
				queue = append(queue, r)
				if err != nil {
					close(r.done)
					continue
				}
				wg.Go(func() {
					defer close(r.done)
					defer a.place(ctx)()
					r.value = f(ctx, item)
				})
			}
			if len(queue) == 0 {
				return
			}
			<-queue[0].done
			if r := queue[0]; !yield(r.value, r.err) {
				return
			}
			queue = queue[1:]
		}
	}
}

type result[R any] struct {
	value R
	err   error
	done  chan struct{}
}

// sideBySide calls f for all items at once, as the archive's reads ahead allow, and returns what it
// returned, in the order of the items.
func sideBySide[T, R any](ctx context.Context, a *Archive, items []T, f func(context.Context, T) R) []R {
	results := make([]R, len(items))
	var wg sync.WaitGroup
	for i := 1; i < len(items); i++ {
		wg.Go(func() {
			defer a.place(ctx)()
			results[i] = f(ctx, items[i])
		})
	}
	if len(items) > 0 {
		results[0] = f(ctx, items[0])
	}
	wg.Wait()
	return results
}
