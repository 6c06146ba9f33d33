package mirror

import (
	"context"
	"fmt"
)

// Retire takes back what a mirror has announced on the target, so that a mirror of the other way
// may start under the same names. Stop the mirror before. It needs the two clusters and
// [Config.Name] alone. The notes on the copies stay: they remain copies, which no mirror takes back
// to where they came from, so that the two ways can't feed each other even if the mirror still
// runs; and the mirror goes on, announced anew, when it is started again. Errors are a
// *[ConfigError], a *[ConnectError], [ErrNoFlow], or of the clusters.
func Retire(ctx context.Context, cfg Config) error {
	_, err := onFlow(ctx, cfg, (*flow).retire)
	return err
}

// retire takes the announcement back.
func (fl *flow) retire(ctx context.Context) (struct{}, error) {
	if _, err := fl.announced(); err != nil {
		return struct{}{}, err
	}
	if err := fl.ledger.Put(ctx, map[string]any{fl.flowKey(): nil, fl.lagKey(): nil}); err != nil {
		return struct{}{}, fmt.Errorf("mirror: retire the flow: target: %w", err)
	}
	return struct{}{}, nil
}
