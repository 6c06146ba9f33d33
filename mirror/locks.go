package mirror

import (
	"errors"

	"github.com/kafkadr/kafkadr/internal/copylock"
)

func (e *engine) newLocks() locks {
	return copylock.New(e.target, copylock.Config{Lease: e.cfg.tuning.lease, OnRetry: e.hooks.retry})
}

func isTakenOver(err error) bool { return errors.Is(err, copylock.ErrTakenOver) }
