package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// chaos makes a scenario's faults happen at their times.
type chaos struct {
	faults   []Fault
	injector Injector
	meter    *meter
	say      func(format string, args ...any)

	mu   sync.Mutex
	open []Fault // that were injected, and aren't healed
}

// run returns when the last fault has begun, and those that have a length are over. It begins at
// the steady state. A fault that can't be injected is an error; the others go on.
func (c *chaos) run(ctx context.Context) error {
	var g errgroup.Group
	errs := make([]error, len(c.faults))
	for i, f := range c.faults {
		g.Go(func() error {
			errs[i] = c.one(ctx, f)
			return nil
		})
	}
	_ = g.Wait()
	return errors.Join(errs...)
}

func (c *chaos) one(ctx context.Context, f Fault) error {
	if f.From == Closing {
		if err := c.meter.until(ctx, "an epoch is closing", func(v view) bool { return !v.closed.IsZero() }); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	if err := pause(ctx, time.Duration(f.After)); err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	c.meter.begin()
	c.say("%s", f)
	if f.Kind == Flap {
		return c.flap(ctx, f)
	}
	if err := c.inject(ctx, f); err != nil || f.For == 0 {
		return err
	}
	err := pause(ctx, time.Duration(f.For))
	c.say("end of the %s", f)
	return errors.Join(err, c.heal(ctx, f))
}

// flap injects and heals in turn, and ends healed.
func (c *chaos) flap(ctx context.Context, f Fault) error {
	every := f.Every.or(defaultEvery)
	for spent := time.Duration(0); f.For == 0 || spent < time.Duration(f.For); spent += 2 * every {
		if err := c.inject(ctx, f); err != nil {
			return err
		}
		err := pause(ctx, every)
		if err := errors.Join(err, c.heal(ctx, f)); err != nil {
			return err
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
	c.say("end of the %s", f)
	return nil
}

func (c *chaos) inject(ctx context.Context, f Fault) error {
	c.mu.Lock()
	c.open = append(c.open, f) // also where injecting fails half-way
	c.mu.Unlock()
	if err := c.injector.Inject(ctx, f); err != nil {
		return fmt.Errorf("%s: inject: %w", f, err)
	}
	return nil
}

// healTime bounds the healing of what the drill leaves, which may be the start of brokers.
const healTime = 2 * time.Minute

// heal works when the context has ended, too.
func (c *chaos) heal(ctx context.Context, f Fault) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healTime)
	defer cancel()
	c.mu.Lock()
	if i := slices.IndexFunc(c.open, f.equal); i >= 0 {
		c.open = slices.Delete(c.open, i, i+1)
	}
	c.mu.Unlock()
	if err := c.injector.Heal(ctx, f); err != nil {
		return fmt.Errorf("%s: heal: %w", f, err)
	}
	return nil
}

// healAll heals what is left.
func (c *chaos) healAll(ctx context.Context) error {
	c.mu.Lock()
	open := slices.Clone(c.open)
	c.mu.Unlock()
	var errs []error
	for _, f := range open {
		errs = append(errs, c.heal(ctx, f))
	}
	return errors.Join(errs...)
}
