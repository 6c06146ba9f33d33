package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gocloud.dev/gcerrors"
)

const (
	defaultRetries          = 8
	defaultOperationTimeout = time.Minute
	firstBackoff            = 50 * time.Millisecond
	maxBackoff              = 5 * time.Second
)

// errTimeout is the cause where the store didn't answer within Config.OperationTimeout.
var errTimeout = errors.New("no answer from the store in time")

// retry runs one store operation until it succeeds, fails for good, or has been tried Config.Retries times again.
func (a *Archive) retry(ctx context.Context, op, key string, f func(context.Context) error) error {
	backoff := firstBackoff
	for try := 0; ; try++ {
		err := a.attempt(ctx, f)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s %s: %w", op, key, context.Cause(ctx))
		}
		if final(err) || try >= a.cfg.Retries {
			return fmt.Errorf("%s %s: %w", op, key, err)
		}
		if a.cfg.Hooks.OnRetry != nil {
			a.cfg.Hooks.OnRetry(op, key, err)
		}
		a.log.WarnContext(ctx, "store operation failed, trying again", "op", op, "key", key, "err", err)
		if err := sleep(ctx, backoff/2+rand.N(backoff)); err != nil {
			return fmt.Errorf("%s %s: %w", op, key, err)
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func (a *Archive) attempt(ctx context.Context, f func(context.Context) error) error {
	tctx, cancel := context.WithTimeoutCause(ctx, a.cfg.OperationTimeout, errTimeout)
	defer cancel()
	err := f(tctx)
	if err != nil && tctx.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", errTimeout, err)
	}
	return err
}

// final says whether trying again is of no use.
func final(err error) bool {
	var damage *DamageError
	var version *VersionError
	if errors.As(err, &damage) || errors.As(err, &version) || errors.Is(err, ErrNotCreateOnly) || errors.Is(err, errConflict) || errors.Is(err, errGiveUp) {
		return true
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.FailedPrecondition, gcerrors.AlreadyExists, gcerrors.InvalidArgument,
		gcerrors.PermissionDenied, gcerrors.Unimplemented:
		return true
	}
	return false
}

// errGiveUp marks an error that has been retried below.
var errGiveUp = errors.New("given up")

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func isNotFound(err error) bool { return gcerrors.Code(err) == gcerrors.NotFound }

// isConflict says that a create-only write met an object.
func isConflict(err error) bool {
	if errors.Is(err, errConflict) {
		return true
	}
	code := gcerrors.Code(err)
	return code == gcerrors.FailedPrecondition || code == gcerrors.AlreadyExists
}
