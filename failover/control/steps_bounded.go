package control

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	errDeadline = errors.New("its deadline has passed")
	errStuck    = errors.New("it doesn't end with its context")
)

// grace is how long something may take to return once its context has ended.
const grace = 2 * time.Second

// bounded calls f, which may be anybody's, with a deadline. What ignores its context is left
// behind: the error is errStuck then, and nothing that relies on its end may be done.
func bounded[T any](ctx context.Context, d time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d, errDeadline)
	defer cancel()
	type answer struct {
		v   T
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		v, err := f(ctx)
		answers <- answer{v, err}
	}()
	var a answer
	select {
	case a = <-answers:
	case <-ctx.Done():
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case a = <-answers:
		case <-late.C:
			return a.v, errStuck
		}
	}
	if cause := context.Cause(ctx); a.err != nil && cause != nil {
		if bare := errors.Unwrap(a.err) == nil && (errors.Is(a.err, cause) || errors.Is(a.err, ctx.Err())); bare {
			return a.v, cause
		}
		return a.v, fmt.Errorf("%w: %w", cause, a.err)
	}
	return a.v, a.err
}

// boundedErr is bounded for what has no result.
func boundedErr(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	_, err := bounded(ctx, d, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// elapsed is the time since t by whichever clock says more: the wall clock sees a suspended
// machine, the other one isn't set back.
func elapsed(t time.Time) time.Duration {
	return max(time.Since(t), time.Now().Round(0).Sub(t.Round(0)))
}
