package backup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/topics"
)

// leftOut are topics that aren't backed up, with the reasons.
type leftOut map[string]topics.Reason

// names are those that the selection left out, by name; what is a cluster's own isn't the selection's doing.
func (l leftOut) names() []string {
	names := slices.Sorted(maps.Keys(l))
	return slices.DeleteFunc(names, func(name string) bool { return l[name] == topics.Never || l[name] == topics.Own })
}

func (l leftOut) why() map[string]string {
	why := make(map[string]string, len(l))
	for name, reason := range l {
		why[name] = string(reason)
	}
	return why
}

// selectTopics asks for the cluster's topics and divides them by the
// configuration. A name that was asked for and doesn't exist is an
// *[UnknownTopicError].
func selectTopics(ctx context.Context, c *rawkafka.Cluster, cfg Config) (selected map[string]rawkafka.Topic, left leftOut, err error) {
	all, err := c.Topics(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("backup: %w", err)
	}
	if err := addNamed(ctx, c, cfg.selection.Names(), all); err != nil {
		return nil, nil, err
	}
	selected, left = make(map[string]rawkafka.Topic), make(leftOut)
	for name, t := range all {
		if why := cfg.selection.Why(name, t.Internal); why != "" {
			left[name] = why
		} else {
			selected[name] = t
		}
	}
	return selected, left, nil
}

// addNamed looks for topics that were asked for by name and aren't listed:
// a broker lists only those that may be described.
func addNamed(ctx context.Context, c *rawkafka.Cluster, names []string, all map[string]rawkafka.Topic) error {
	var missing []string
	for _, name := range names {
		if _, ok := all[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	asked, err := c.Topics(ctx, missing...)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for _, name := range missing {
		t := asked[name]
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
