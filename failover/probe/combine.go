package probe

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// AllOf is healthy where all probes are. They run at once; their errors are joined, in their order.
// It takes as long as the slowest.
func AllOf(probes ...Probe) Probe {
	return func(ctx context.Context, t Target) error {
		errs := make([]error, len(probes))
		var wg sync.WaitGroup
		for i, p := range probes {
			wg.Go(func() { errs[i] = p(ctx, t) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
}

// AnyOf is healthy where one probe is, and down where all are. They run at once, and those that
// still run are cancelled when one is healthy.
func AnyOf(probes ...Probe) Probe {
	return func(ctx context.Context, t Target) error {
		if len(probes) == 0 {
			return &Fault{Kind: Config, Cluster: t.Name, Probe: "any of", Err: errors.New("no probe")}
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		errs := make([]error, len(probes))
		var wg sync.WaitGroup
		for i, p := range probes {
			wg.Go(func() {
				if errs[i] = p(ctx, t); errs[i] == nil {
					cancel()
				}
			})
		}
		wg.Wait()
		for _, err := range errs {
			if err == nil {
				return nil
			}
		}
		return &anyError{errs}
	}
}

// anyError is what AnyOf returns.
type anyError struct{ errs []error }

func (e *anyError) Error() string   { return errors.Join(e.errs...).Error() }
func (e *anyError) Unwrap() []error { return e.errs }

// WithTimeout gives a probe less time than its caller does. What isn't over in time is a [Timeout].
func WithTimeout(p Probe, d time.Duration) Probe {
	return func(ctx context.Context, t Target) error {
		inner, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		err := p(inner, t)
		if KindOf(err) == "" && errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return &Fault{Kind: Timeout, Cluster: t.Name, Probe: "timeout", Err: fmt.Errorf("not over after %v: %w", d, err)}
		}
		return err
	}
}
