package mirror

import (
	"context"
	"fmt"
)

// Retire takes back what a mirror has announced on the target, so that a mirror of the other way may start under the same names. Stop the mirror before. It needs the two clusters and
// [Config.Name] alone. The notes on the copies stay: they remain copies, which no mirror takes back to where they came from, so that the two ways can't feed each other even if
// the mirror still runs; and the mirror goes on, announced anew, when it is started again. Errors are a *[ConfigError], a *[ConnectError], [ErrNoFlow], or of the clusters.
func Retire(ctx context.Context, cfg Config) error {
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	e, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer e.close()
	var f flow
	found, err := e.ledger.Get(e.flowKey(), &f)
	if err != nil {
		return fmt.Errorf("mirror: target: %w", err)
	}
	if !found {
		return fmt.Errorf("mirror: %w: %q from cluster %s to cluster %s", ErrNoFlow, cfg.Name, e.source.ID(), e.target.ID())
	}
	if err := e.ledger.Put(ctx, map[string]any{e.flowKey(): nil, e.lagKey(): nil}); err != nil {
		return fmt.Errorf("mirror: retire the flow: target: %w", err)
	}
	return nil
}
