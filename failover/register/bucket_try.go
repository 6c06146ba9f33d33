package register

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"gocloud.dev/gcerrors"
)

// markerKey holds what the store was tried with.
const (
	markerKey   = "register"
	markerStart = "kafkadr register\nformat "
)

func marker() []byte { return []byte(markerStart + strconv.Itoa(version) + "\n") }

// try writes the marker until the store says that it is there: at the second time at the latest. A store that lets it be written over is found, and has done no harm. What
// succeeded once isn't tried again.
func (b *Bucket) try(ctx context.Context) error {
	b.mu.Lock()
	tried := b.tried
	b.mu.Unlock()
	if tried {
		return nil
	}
	for range 2 {
		err := b.retry(ctx, "put", markerKey, func(ctx context.Context) error { return b.putOnce(ctx, markerKey, marker()) })
		if isConflict(err) {
			if err = b.checkMarker(ctx); err == nil {
				b.mu.Lock()
				b.tried = true
				b.mu.Unlock()
			}
			return err
		}
		if err != nil {
			return fmt.Errorf("register: put %s: %w", markerKey, err)
		}
	}
	return ErrNotCreateOnly
}

func (b *Bucket) checkMarker(ctx context.Context) error {
	raw, err := b.ReadObject(ctx, markerKey)
	if errors.Is(err, ErrNoObject) {
		return fmt.Errorf("%w: %s exists, and isn't there", ErrStale, markerKey)
	}
	if err != nil || string(raw) == string(marker()) {
		return err
	}
	digits, ok := strings.CutPrefix(strings.TrimSuffix(string(raw), "\n"), markerStart)
	if v, err := strconv.Atoi(digits); ok && err == nil && v > version {
		return &VersionError{Key: markerKey, Version: v}
	}
	return &DamageError{Key: markerKey, Err: errors.New("it isn't a register's marker")}
}

const (
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = 2 * time.Second
)

// errTimeout is the cause where the store didn't answer within BucketConfig.Timeout.
var errTimeout = errors.New("no answer from the store in time")

// retry runs one operation until it succeeds, fails for good, or has been tried BucketConfig.Retries times again.
func (b *Bucket) retry(ctx context.Context, op, key string, f func(context.Context) error) error {
	backoff := firstBackoff
	for again := 0; ; again++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := b.attempt(ctx, op, key, f)
		if err == nil || final(err) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if again >= b.cfg.Retries {
			return err
		}
		if b.cfg.Hooks.OnRetry != nil {
			b.cfg.Hooks.OnRetry(op, key, err)
		}
		if err := sleep(ctx, backoff/2+rand.N(backoff)); err != nil {
			return err
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func (b *Bucket) attempt(ctx context.Context, op, key string, f func(context.Context) error) error {
	tctx, cancel := context.WithTimeoutCause(ctx, b.cfg.Timeout, errTimeout)
	defer cancel()
	start := time.Now()
	err := f(tctx)
	if err != nil && tctx.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", errTimeout, err)
	}
	if b.cfg.Hooks.OnOperation != nil {
		b.cfg.Hooks.OnOperation(op, key, time.Since(start), err)
	}
	return err
}

// final says whether trying again is of no use.
func final(err error) bool {
	var damage *DamageError
	if errors.As(err, &damage) {
		return true
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.FailedPrecondition, gcerrors.AlreadyExists, gcerrors.InvalidArgument, gcerrors.PermissionDenied, gcerrors.Unimplemented:
		return true
	}
	return false
}

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
