package mirror

import (
	"context"
	"errors"

	"github.com/kafkadr/kafkadr/internal/copylock"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

func (e *engine) newLocks() locks {
	if e.cfg.tuning.locks != nil {
		return e.cfg.tuning.locks
	}
	return copylock.New(e.target, copylock.Config{Lease: e.cfg.tuning.lease, OnRetry: e.hooks.retry})
}

// mayHole returns when markers may be written: a hole may have waited for long since its lock was found held.
func (e *engine) mayHole(ctx context.Context, standby rawkafka.Partition) error {
	return e.locks.Held(ctx, standby.TopicID)
}

func isTakenOver(err error) bool { return errors.Is(err, copylock.ErrTakenOver) }
