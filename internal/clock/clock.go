// Package clock says how much time has passed by all clocks there are: a machine that was
// suspended, or a process that was stopped, must not believe that its lease still lasts.
package clock

import (
	"context"
	"time"
)

// Instant is a moment by all clocks there are.
type Instant struct {
	// Mono has Go's monotonic reading, as [time.Now] gives it.
	Mono time.Time
	// Wall is the wall clock's time, without a monotonic reading.
	Wall time.Time
	// Boot is the time since the machine started, suspended time included. 0: there is no such
	// clock.
	Boot time.Duration
}

// Since is how much time has passed since an earlier instant: what the clock says that has seen
// most of it.
func (i Instant) Since(earlier Instant) time.Duration {
	most := max(0, i.Mono.Sub(earlier.Mono), i.Wall.Sub(earlier.Wall))
	if i.Boot > 0 && earlier.Boot > 0 {
		most = max(most, i.Boot-earlier.Boot)
	}
	return most
}

// A Clock says what time it is. It must be safe for concurrent use.
type Clock func() Instant

// System is the machine's clocks.
func System() Instant {
	now := Go()
	now.Boot = sinceBoot()
	return now
}

// Go is [time.Now] alone, for testing/synctest: time in a bubble stands still while the machine's
// clocks go on.
func Go() Instant {
	now := time.Now()
	return Instant{Mono: now, Wall: now.Round(0)}
}

type key struct{}

// With is a context whose clock is c. What is made with it, a client say, keeps that clock.
func With(ctx context.Context, c Clock) context.Context { return context.WithValue(ctx, key{}, c) }

// From is the context's clock. Default [System].
func From(ctx context.Context) Clock {
	if c, ok := ctx.Value(key{}).(Clock); ok {
		return c
	}
	return System
}
