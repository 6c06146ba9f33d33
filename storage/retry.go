package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/kafkadr/kafkadr/internal/storeop"
)

const (
	defaultRetries          = 8
	defaultOperationTimeout = time.Minute
	maxBackoff              = 5 * time.Second
)

// retry runs one store operation until it succeeds, fails for good, or has been tried
// Config.Retries times again.
func (a *Archive) retry(ctx context.Context, op, key string, f func(context.Context) error) error {
	return a.do(ctx, op, key, a.policy(ctx, op, key), f)
}

// ask is retry for a question about an object: where it isn't there, the error matches
// storeop.ErrAbsent, and nothing else does. must says that the object has to be there, bytes how
// many it may have to move.
func (a *Archive) ask(ctx context.Context, op, key string, must bool, bytes int64, f func(context.Context) error) error {
	p := a.policy(ctx, op, key)
	p.Must, p.Bytes = must, bytes
	p.Proof = func(ctx context.Context) error { return a.proveAbsent(ctx, key) }
	return a.do(ctx, op, key, p, f)
}

func (a *Archive) do(ctx context.Context, op, key string, p storeop.Policy, f func(context.Context) error) error {
	if err := storeop.Do(ctx, p, f); err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	return nil
}

func (a *Archive) policy(ctx context.Context, op, key string) storeop.Policy {
	return storeop.Policy{Timeout: a.cfg.OperationTimeout, Retries: a.cfg.Retries, MaxBackoff: maxBackoff, Final: final, Status: a.cfg.Status, Again: func(err error) {
		if a.cfg.Hooks.OnRetry != nil {
			a.cfg.Hooks.OnRetry(op, key, err)
		}
		a.log.WarnContext(ctx, "store operation failed, trying again", "op", op, "key", key, "err", err)
	}}
}

// proveAbsent succeeds if an object isn't there: its key isn't listed, and the archive's marker,
// asked for after that, is readable. So neither lost rights nor a bucket, directory or network that
// is gone pass for absence.
func (a *Archive) proveAbsent(ctx context.Context, key string) error {
	page, _, err := a.b.ListPage(ctx, blob.FirstPageToken, listPage, &blob.ListOptions{Prefix: key})
	a.operation("list", key, 0, err)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(page, func(o *blob.ListObject) bool { return o.Key == key }) {
		return storeop.ErrThere
	}
	if key == markerKey {
		return nil // an archive that is begun has nothing else
	}
	raw, _, err := a.readOnce(ctx, markerKey, 0, maxMarker)
	a.operation("get", markerKey, int64(len(raw)), err)
	return err
}

// final says whether trying again is of no use, whatever the store says.
func final(err error) bool {
	var damage *DamageError
	var version *VersionError
	return errors.As(err, &damage) || errors.As(err, &version) || errors.Is(err, ErrNotCreateOnly) || errors.Is(err, errConflict) || errors.Is(err, errGiveUp)
}

// errGiveUp marks an error that has been retried below.
var errGiveUp = errors.New("given up")

// refuses says that the store may have the object, and won't give it.
func (a *Archive) refuses(err error) bool {
	return err != nil && !isAbsent(err) && storeop.Policy{Status: a.cfg.Status}.Refused(err)
}

// isAbsent says that an object certainly isn't there.
func isAbsent(err error) bool { return errors.Is(err, storeop.ErrAbsent) }

// isConflict says that a create-only write met an object.
func isConflict(err error) bool {
	if errors.Is(err, errConflict) {
		return true
	}
	code := gcerrors.Code(err)
	return code == gcerrors.FailedPrecondition || code == gcerrors.AlreadyExists
}
