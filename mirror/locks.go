package mirror

import (
	"context"
	"errors"

	"github.com/kafkadr/kafkadr/internal/copylock"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

func (fl *flow) newLocks() locks {
	if fl.cfg.tuning.locks != nil {
		return fl.cfg.tuning.locks
	}
	return copylock.New(fl.target, copylock.Config{Lease: fl.cfg.tuning.lease, OnRetry: fl.hooks.retry})
}

// mayHole returns when markers may be written: a hole may have waited for long since its lock was
// found held.
func (e *engine) mayHole(ctx context.Context, standby rawkafka.Partition) error {
	return e.locks.Held(ctx, standby.TopicID)
}

func isTakenOver(err error) bool { return errors.Is(err, copylock.ErrTakenOver) }
