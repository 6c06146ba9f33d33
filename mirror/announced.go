package mirror

import (
	"context"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Flow is a mirror as it has announced itself on its target.
type Flow struct {
	// Source is the source's cluster ID, Name the flow's.
	Source string    `json:"source"`
	Name   string    `json:"name"`
	Prefix string    `json:"prefix,omitempty"`
	At     time.Time `json:"at"`
	// LastLag is what the target lacked when the mirror last noted it; nil: it never did.
	LastLag *LastLag `json:"last_lag,omitempty"`
}

// Announced are the flows to the target, from whichever source, sorted by source and name. It looks at the target alone: the sources may be gone.
// Errors are a *[ConfigError], a *[ConnectError], or of the target.
func Announced(ctx context.Context, cfg Config) ([]Flow, error) {
	var flows []Flow
	err := onTarget(ctx, cfg, func(l *ledger.Ledger) error {
		for key, value := range l.Each(flowPrefix) {
			var f flow
			if err := ledger.Decode(key, value, &f); err != nil {
				return err
			}
			last, err := lastLagOf(l, f.Source, f.Name)
			if err != nil {
				return err
			}
			flows = append(flows, Flow{Source: f.Source, Name: f.Name, Prefix: f.Prefix, At: f.At, LastLag: last})
		}
		return nil
	})
	return flows, err
}

// RetireFrom is [Retire] of a flow whose source may be gone: its cluster ID is given instead.
func RetireFrom(ctx context.Context, cfg Config, source string) error {
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	return onTarget(ctx, cfg, func(l *ledger.Ledger) error {
		key := flowPrefix + source + "/" + cfg.Name
		if found, err := l.Get(key, &flow{}); err != nil {
			return err
		} else if !found {
			return fmt.Errorf("%w: %q from cluster %s", ErrNoFlow, cfg.Name, source)
		}
		return l.Put(ctx, map[string]any{key: nil, lagPrefix + source + "/" + cfg.Name: nil})
	})
}

// onTarget does something with the target's ledger.
func onTarget(ctx context.Context, cfg Config, do func(*ledger.Ledger) error) error {
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	target, err := rawkafka.Connect(ctx, cfg.Target, rawkafka.Config{ClientID: cfg.ClientID, Logger: cfg.Logger, RetryFor: cfg.tuning.retryFor})
	if err != nil {
		return fmt.Errorf("mirror: target: %w", err)
	}
	defer target.Close()
	l, err := ledger.Open(ctx, target)
	if err == nil {
		err = do(l)
	}
	if err != nil {
		return fmt.Errorf("mirror: target: %w", err)
	}
	return nil
}
