package restore

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/copylock"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// ErrTakenOver says that another restore of the same topic was started, or a mirror to it, which
// goes on with it.
var ErrTakenOver = copylock.ErrTakenOver

// claim takes the topics that have holes over from whoever makes holes in them. Without the right
// to the transactional ids there is no lock, and a warning.
func (r *runner) claim(ctx context.Context) error {
	r.locks = copylock.New(r.cluster, copylock.Config{Lease: r.cfg.quiet, OnRetry: r.retry})
	var ids []kadm.TopicID
	for _, t := range r.topics {
		if t.holes() {
			ids = append(ids, t.id)
		}
	}
	shared, err := r.locks.Claim(ctx, ids...)
	var denied *copylock.DeniedError
	switch {
	case errors.As(err, &denied):
		r.warnings = append(r.warnings, fmt.Sprintf("two copies of the same topic at once aren't kept apart: %v", denied))
	case err != nil:
		return fmt.Errorf("restore: take topics over: %w", err)
	}
	for _, t := range r.topics {
		t.created = t.created && !shared // somebody else may have begun already
	}
	return nil
}

// holes says whether any are to be made.
func (t *topicJob) holes() bool {
	for _, j := range t.partitions {
		if j.todo.holeRuns > 0 {
			return true
		}
	}
	return false
}

// mayHole returns when a hole may be made in a topic.
func (r *runner) mayHole(ctx context.Context, topic rawkafka.Partition) error {
	err := r.locks.Held(ctx, topic.TopicID)
	if errors.Is(err, copylock.ErrNotClaimed) { // the index knew of no hole
		var denied *copylock.DeniedError
		if _, err = r.locks.Claim(ctx, topic.TopicID); err == nil || errors.As(err, &denied) {
			err = r.locks.Held(ctx, topic.TopicID)
		}
	}
	return err
}
