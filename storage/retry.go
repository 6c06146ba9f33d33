package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gocloud.dev/gcerrors"

	"github.com/kafkadr/kafkadr/internal/storeop"
)

const (
	defaultRetries          = 8
	defaultOperationTimeout = time.Minute
	maxBackoff              = 5 * time.Second
)

// retry runs one store operation until it succeeds, fails for good, or has been tried Config.Retries times again.
func (a *Archive) retry(ctx context.Context, op, key string, f func(context.Context) error) error {
	policy := storeop.Policy{Timeout: a.cfg.OperationTimeout, Retries: a.cfg.Retries, MaxBackoff: maxBackoff, Final: final, Again: func(err error) {
		if a.cfg.Hooks.OnRetry != nil {
			a.cfg.Hooks.OnRetry(op, key, err)
		}
		a.log.WarnContext(ctx, "store operation failed, trying again", "op", op, "key", key, "err", err)
	}}
	if err := storeop.Do(ctx, policy, f); err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	return nil
}

// final says whether trying again is of no use, whatever the store says.
func final(err error) bool {
	var damage *DamageError
	var version *VersionError
	return errors.As(err, &damage) || errors.As(err, &version) || errors.Is(err, ErrNotCreateOnly) || errors.Is(err, errConflict) || errors.Is(err, errGiveUp)
}

// errGiveUp marks an error that has been retried below.
var errGiveUp = errors.New("given up")

func isNotFound(err error) bool { return gcerrors.Code(err) == gcerrors.NotFound }

// isConflict says that a create-only write met an object.
func isConflict(err error) bool {
	if errors.Is(err, errConflict) {
		return true
	}
	code := gcerrors.Code(err)
	return code == gcerrors.FailedPrecondition || code == gcerrors.AlreadyExists
}
