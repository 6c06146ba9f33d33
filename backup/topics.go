package backup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// selectTopics asks for the cluster's topics and divides them by the
// configuration. A name that was asked for and doesn't exist is an
// *[UnknownTopicError].
func selectTopics(ctx context.Context, c *rawkafka.Cluster, cfg Config) (selected map[string]rawkafka.Topic, leftOut []string, err error) {
	all, err := c.Topics(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("backup: %w", err)
	}
	if err := addNamed(ctx, c, cfg.Topics, all); err != nil {
		return nil, nil, err
	}
	take, err := anchored(cfg.Topics)
	if err != nil {
		return nil, nil, err
	}
	leave, err := anchored(cfg.Exclude)
	if err != nil {
		return nil, nil, err
	}
	selected = make(map[string]rawkafka.Topic)
	for name, t := range all {
		literal := slices.Contains(cfg.Topics, name)
		switch {
		case literal && !matchesAny(leave, name):
			selected[name] = t
		case t.Internal, name == ledger.Topic: // what copies a cluster holds is its own affair
		case len(take) > 0 && !matchesAny(take, name) || matchesAny(leave, name):
			leftOut = append(leftOut, name)
		default:
			selected[name] = t
		}
	}
	slices.Sort(leftOut)
	return selected, leftOut, nil
}

// addNamed looks for topics that were asked for by name and aren't listed:
// a broker lists only those that may be described.
func addNamed(ctx context.Context, c *rawkafka.Cluster, patterns []string, all map[string]rawkafka.Topic) error {
	var missing []string
	for _, name := range patterns {
		if _, ok := all[name]; !ok && legalTopic(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	topics, err := c.Topics(ctx, missing...)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, name := range missing {
		t := topics[name]
		switch {
		case rawkafka.Unknown(t.Err):
			return &UnknownTopicError{Topic: name}
		case t.Err != nil:
			return fmt.Errorf("backup: %s: metadata: %w", name, t.Err)
		}
		all[name] = t
	}
	return nil
}

// matched is an *[UnknownTopicError] where topics were asked for and none is there.
func matched(ctx context.Context, c *rawkafka.Cluster, cfg Config) error {
	selected, _, err := selectTopics(ctx, c, cfg)
	if err != nil {
		return err
	}
	return noneSelected(cfg, selected)
}

// noneSelected refuses an empty selection: an empty snapshot would be the latest.
func noneSelected(cfg Config, selected map[string]rawkafka.Topic) error {
	if len(selected) > 0 || len(cfg.Topics) == 0 {
		return nil
	}
	return &UnknownTopicError{Topic: strings.Join(cfg.Topics, " ")}
}
