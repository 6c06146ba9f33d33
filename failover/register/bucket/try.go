package bucket

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/storeop"
)

// markerKey holds what the store was tried with.
const (
	markerKey     = "register"
	markerStart   = "kafkadr register\nformat "
	markerVersion = 1
)

func marker() []byte { return []byte(markerStart + strconv.Itoa(markerVersion) + "\n") }

// try writes the marker until the store says that it is there: at the second time at the latest. A
// store that lets it be written over is found, and has done no harm. What succeeded once isn't
// tried again.
func (b *Register) try(ctx context.Context) error {
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
	return register.ErrNotCreateOnly
}

func (b *Register) checkMarker(ctx context.Context) error {
	raw, err := b.ReadObject(ctx, markerKey)
	if errors.Is(err, register.ErrNoObject) {
		return fmt.Errorf("%w: %s exists, and isn't there", register.ErrStale, markerKey)
	}
	if err != nil || string(raw) == string(marker()) {
		return err
	}
	digits, ok := strings.CutPrefix(strings.TrimSuffix(string(raw), "\n"), markerStart)
	if v, err := strconv.Atoi(digits); ok && err == nil && v > markerVersion {
		return &register.VersionError{Key: markerKey, Version: v}
	}
	return &register.DamageError{Key: markerKey, Err: errors.New("it isn't a register's marker")}
}

const maxBackoff = 2 * time.Second

// retry runs one operation until it succeeds, fails for good, or has been tried Config.Retries
// times again.
func (b *Register) retry(ctx context.Context, op, key string, f func(context.Context) error) error {
	hooks := b.cfg.Hooks
	policy := storeop.Policy{Timeout: b.cfg.Timeout, Retries: b.cfg.Retries, MaxBackoff: maxBackoff, Final: damaged, Status: b.cfg.Status}
	if op == "get" {
		policy.Proof = func(ctx context.Context) error { return b.proveAbsent(ctx, key) }
	}
	if hooks.OnRetry != nil {
		policy.Again = func(err error) { hooks.OnRetry(op, key, err) }
	}
	if hooks.OnOperation != nil {
		policy.Tried = func(took time.Duration, err error) { hooks.OnOperation(op, key, took, err) }
	}
	return storeop.Do(ctx, policy, f)
}

func damaged(err error) bool {
	var damage *register.DamageError
	return errors.As(err, &damage)
}
