// Package storeop runs one operation of a blob store: each try within its deadline, and again where that may help, with a growing pause between.
package storeop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gocloud.dev/gcerrors"
)

// ErrTimeout is wrapped by a try's error where the store didn't answer within Policy.Timeout.
var ErrTimeout = errors.New("no answer from the store in time")

const firstBackoff = 50 * time.Millisecond

// Policy is how an operation is tried.
type Policy struct {
	// Timeout is one try's deadline.
	Timeout time.Duration
	// Retries is how often it is tried again.
	Retries int
	// MaxBackoff bounds the pause before a try: 50 ms doubled each time, of which half to three halves are taken.
	MaxBackoff time.Duration
	// Final says whether trying again is of no use, beside what [Final] says. Default: nothing more.
	Final func(error) bool
	// Tried is told of each try, what it took and its error.
	Tried func(time.Duration, error)
	// Again is told of each error after which it is tried again, before the pause.
	Again func(error)
}

// Do runs f until it succeeds, fails for good, or has been tried Policy.Retries times again; the error is the last one's. Where ctx has ended it is ctx's cause.
func Do(ctx context.Context, p Policy, f func(context.Context) error) error {
	backoff := firstBackoff
	for again := 0; ; again++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := try(ctx, p, f)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if Final(err) || p.Final != nil && p.Final(err) || again >= p.Retries {
			return err
		}
		if p.Again != nil {
			p.Again(err)
		}
		if err := Sleep(ctx, backoff/2+rand.N(backoff)); err != nil {
			return err
		}
		backoff = min(2*backoff, p.MaxBackoff)
	}
}

func try(ctx context.Context, p Policy, f func(context.Context) error) error {
	tctx, cancel := context.WithTimeoutCause(ctx, p.Timeout, ErrTimeout)
	defer cancel()
	start := time.Now()
	err := f(tctx)
	if err != nil && tctx.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	if p.Tried != nil {
		p.Tried(time.Since(start), err)
	}
	return err
}

// Final says of a store's error whether trying again is of no use.
func Final(err error) bool {
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.FailedPrecondition, gcerrors.AlreadyExists, gcerrors.InvalidArgument, gcerrors.PermissionDenied, gcerrors.Unimplemented:
		return true
	}
	return false
}

// Sleep waits for d or the end of ctx, whose cause it returns then.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
