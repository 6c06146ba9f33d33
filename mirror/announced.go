package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/topics"
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

// Announced are the flows to the target, from whichever source, sorted by source and name. It looks
// at the target alone: the sources may be gone. Errors are a *[ConfigError], a *[ConnectError], or
// of the target.
func Announced(ctx context.Context, cfg Config) ([]Flow, error) {
	var flows []Flow
	err := onTarget(ctx, cfg, func(l *ledger.Ledger) error {
		for key, value := range l.Each(flowPrefix) {
			var f announcement
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
		if found, err := l.Get(key, &announcement{}); err != nil {
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

// announcement is how a mirror announces itself in the target's ledger.
type announcement struct {
	Source  string    `json:"source"` // the source's cluster ID
	Name    string    `json:"name"`
	Prefix  string    `json:"prefix"`
	Topics  []string  `json:"topics,omitempty"`
	Exclude []string  `json:"exclude,omitempty"`
	At      time.Time `json:"at"`
}

const flowPrefix = "flow/"

func (fl *flow) flowKey() string { return flowPrefix + fl.source.ID() + "/" + fl.cfg.Name }

// announced is what the flow has announced on the target.
func (fl *flow) announced() (a announcement, err error) {
	found, err := fl.ledger.Get(fl.flowKey(), &a)
	switch {
	case err != nil:
		return a, fmt.Errorf("mirror: target: %w", err)
	case !found:
		return a, fmt.Errorf("mirror: %w: %q from cluster %s to cluster %s", ErrNoFlow, fl.cfg.Name, fl.source.ID(), fl.target.ID())
	}
	return a, nil
}

// announce says on the target that this flow exists, before it looks whether there is one the other
// way: of two that start at the same time, at least one sees the other. It returns how to take it
// back, where it wasn't there before.
func (fl *flow) announce(ctx context.Context) (undo func(context.Context) error, err error) {
	var was announcement
	had, err := fl.ledger.Get(fl.flowKey(), &was)
	if err != nil {
		return nil, fmt.Errorf("mirror: target: %w", err)
	}
	now := announcement{Source: fl.source.ID(), Name: fl.cfg.Name, Prefix: fl.cfg.Prefix, Topics: fl.cfg.Topics, Exclude: fl.cfg.Exclude, At: time.Now().UTC().Truncate(time.Second)}
	if err := fl.ledger.Put(ctx, map[string]any{fl.flowKey(): now}); err != nil {
		return nil, fmt.Errorf("mirror: announce the flow: target: %w", err)
	}
	return func(ctx context.Context) error {
		var back any
		if had {
			back = was
		}
		return fl.ledger.Put(ctx, map[string]any{fl.flowKey(): back})
	}, nil
}

// against are flows the other way under the same names.
func (fl *flow) against() []Conflict {
	if fl.back == nil || fl.cfg.Prefix != "" || fl.source.ID() == fl.target.ID() { // of the same cluster, the plan says so itself
		return nil
	}
	var conflicts []Conflict
	for key, value := range fl.back.Each(flowPrefix + fl.target.ID() + "/") {
		var f announcement
		if err := ledger.Decode(key, value, &f); err == nil && f.Prefix != "" {
			continue
		}
		conflicts = append(conflicts, clusterConflict("flow", "flow %q mirrors the target to the source under the same names, announced %s: two against each other would never end; if that one has been given up for good, Retire it first (kdr mirror --retire, from its source to its target)", f.Name, f.At.Format(time.RFC3339)))
	}
	return conflicts
}

// meets are the topics whose copies another flow to the target writes too, with what says so. Of a
// flow from another source only topics that it names are known to be there: of the others, the
// ledger's notes tell whose copy a topic is.
func (fl *flow) meets(selected, all map[string]rawkafka.Topic) []Conflict {
	var conflicts []Conflict
	for key, value := range fl.ledger.Each(flowPrefix) {
		var f announcement
		if key == fl.flowKey() || ledger.Decode(key, value, &f) != nil {
			continue
		}
		theirs, err := topics.New(f.Topics, f.Exclude)
		if err != nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(selected)) {
			copied := fl.cfg.Prefix + name
			theirName, ok := strings.CutPrefix(copied, f.Prefix)
			if !ok || name == fl.sel.own {
				continue
			}
			there, known := all[theirName]
			if f.Source == fl.source.ID() && known && theirs.Takes(theirName, there.Internal) || f.Source != fl.source.ID() && theirs.Named(theirName) {
				conflicts = append(conflicts, topicConflict(name, "flow",
					"flows %q and %q (from cluster %s, announced %s) both write the target's topic %s: exclude it from one of them; if that one has been given up for good, Retire it first",
					fl.cfg.Name, f.Name, f.Source, f.At.Format(time.RFC3339), copied))
			}
		}
	}
	return conflicts
}

// loops are the topics whose names begin with the prefix already: copies that came back under the
// names that they have on the target, as a MirrorMaker that keeps names brings them, or another's
// copies behind the same prefix. Their copies would come back as well, one prefix longer each time.
func (fl *flow) loops(selected map[string]rawkafka.Topic) []Conflict {
	var conflicts []Conflict
	for _, name := range slices.Sorted(maps.Keys(selected)) {
		if fl.comesBack(name) {
			conflicts = append(conflicts, topicConflict(name, "loop",
				"flow %q would copy it as %s: its name begins with the copies' prefix, so what brought it here is a flow of MirrorMaker's or another's that would bring back the copy too; exclude it, or choose another prefix",
				fl.cfg.Name, fl.cfg.Prefix+name))
		}
	}
	return conflicts
}

// comesBack says that a topic's name begins with the copies' prefix, between two clusters.
func (fl *flow) comesBack(name string) bool {
	return fl.cfg.Prefix != "" && strings.HasPrefix(name, fl.cfg.Prefix) && fl.source.ID() != fl.target.ID()
}

func clusterConflict(kind, format string, args ...any) Conflict {
	return Conflict{Partition: -1, Offset: -1, Kind: kind, Detail: fmt.Sprintf(format, args...)}
}
