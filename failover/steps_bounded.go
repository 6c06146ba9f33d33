package failover

import (
	"context"
	"errors"
	"time"
)

var (
	errDeadline = errors.New("its deadline has passed")
	errStuck    = errors.New("it doesn't end with its context")
)

// grace is how long something may take to return once its context has ended.
const grace = 2 * time.Second

// bounded calls f, which may be anybody's, with a deadline. What ignores its context is left behind: the error is errStuck then, and nothing that relies on its end may be done.
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
	if a.err != nil && ctx.Err() != nil {
		a.err = errors.Join(context.Cause(ctx), distinct(a.err, ctx))
	}
	return a.v, a.err
}

// distinct is an error that says more than that the context has ended.
func distinct(err error, ctx context.Context) error { //nolint:revive // the error is the subject
	if errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)) {
		return nil
	}
	return err
}

// boundedErr is bounded for what has no result.
func boundedErr(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	_, err := bounded(ctx, d, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
}

// elapsed is the time since t by whichever clock says more: the wall clock sees a suspended machine, the other one isn't set back.
func elapsed(t time.Time) time.Duration {
	return max(time.Since(t), time.Now().Round(0).Sub(t.Round(0)))
}
