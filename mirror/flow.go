package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/topics"
)

// flow is how a mirror announces itself in the target's ledger.
type flow struct {
	Source  string    `json:"source"` // the source's cluster ID
	Name    string    `json:"name"`
	Prefix  string    `json:"prefix"`
	Topics  []string  `json:"topics,omitempty"`
	Exclude []string  `json:"exclude,omitempty"`
	At      time.Time `json:"at"`
}

const flowPrefix = "flow/"

func (e *engine) flowKey() string { return flowPrefix + e.source.ID() + "/" + e.cfg.Name }

// announce says on the target that this flow exists, before it looks whether there is one the other way: of two that start at the same time, at least one sees the
// other. It returns how to take it back, where it wasn't there before.
func (e *engine) announce(ctx context.Context) (undo func(context.Context) error, err error) {
	var was flow
	had, err := e.ledger.Get(e.flowKey(), &was)
	if err != nil {
		return nil, fmt.Errorf("mirror: target: %w", err)
	}
	now := flow{Source: e.source.ID(), Name: e.cfg.Name, Prefix: e.cfg.Prefix, Topics: e.cfg.Topics, Exclude: e.cfg.Exclude, At: time.Now().UTC().Truncate(time.Second)}
	if err := e.ledger.Put(ctx, map[string]any{e.flowKey(): now}); err != nil {
		return nil, fmt.Errorf("mirror: announce the flow: target: %w", err)
	}
	return func(ctx context.Context) error {
		var back any
		if had {
			back = was
		}
		return e.ledger.Put(ctx, map[string]any{e.flowKey(): back})
	}, nil
}

// against are flows the other way under the same names.
func (e *engine) against() []Conflict {
	if e.back == nil || e.cfg.Prefix != "" || e.source.ID() == e.target.ID() { // of the same cluster, the plan says so itself
		return nil
	}
	var conflicts []Conflict
	for key, value := range e.back.Each(flowPrefix + e.target.ID() + "/") {
		var f flow
		if err := ledger.Decode(key, value, &f); err == nil && f.Prefix != "" {
			continue
		}
		conflicts = append(conflicts, clusterConflict("flow", "flow %q mirrors the target to the source under the same names, announced %s: two against each other would never end; if that one has been given up for good, Retire it first (kdr mirror --retire, from its source to its target)", f.Name, f.At.Format(time.RFC3339)))
	}
	return conflicts
}

// meets are the topics whose copies another flow to the target writes too, with what says so. Of a flow from another source only topics that it names are known to be there:
// of the others, the ledger's notes tell whose copy a topic is.
func (e *engine) meets(selected, all map[string]rawkafka.Topic) []Conflict {
	var conflicts []Conflict
	for key, value := range e.ledger.Each(flowPrefix) {
		var f flow
		if key == e.flowKey() || ledger.Decode(key, value, &f) != nil {
			continue
		}
		theirs, err := topics.New(f.Topics, f.Exclude)
		if err != nil {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(selected)) {
			copied := e.cfg.Prefix + name
			theirName, ok := strings.CutPrefix(copied, f.Prefix)
			if !ok || name == e.sel.own {
				continue
			}
			there, known := all[theirName]
			if f.Source == e.source.ID() && known && theirs.Takes(theirName, there.Internal) || f.Source != e.source.ID() && theirs.Named(theirName) {
				conflicts = append(conflicts, topicConflict(name, "flow",
					"flows %q and %q (from cluster %s, announced %s) both write the target's topic %s: exclude it from one of them; if that one has been given up for good, Retire it first",
					e.cfg.Name, f.Name, f.Source, f.At.Format(time.RFC3339), copied))
			}
		}
	}
	return conflicts
}

// loops are the topics whose names begin with the prefix already: copies that came back under the names that they have on the target, as a MirrorMaker that keeps names brings them, or
// another's copies behind the same prefix. Their copies would come back as well, one prefix longer each time.
func (e *engine) loops(selected map[string]rawkafka.Topic) []Conflict {
	var conflicts []Conflict
	for _, name := range slices.Sorted(maps.Keys(selected)) {
		if e.comesBack(name) {
			conflicts = append(conflicts, topicConflict(name, "loop",
				"flow %q would copy it as %s: its name begins with the copies' prefix, so what brought it here is a flow of MirrorMaker's or another's that would bring back the copy too; exclude it, or choose another prefix",
				e.cfg.Name, e.cfg.Prefix+name))
		}
	}
	return conflicts
}

// comesBack says that a topic's name begins with the copies' prefix, between two clusters.
func (e *engine) comesBack(name string) bool {
	return e.cfg.Prefix != "" && strings.HasPrefix(name, e.cfg.Prefix) && e.source.ID() != e.target.ID()
}

func clusterConflict(kind, format string, args ...any) Conflict {
	return Conflict{Partition: -1, Offset: -1, Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// openBack reads the source's own ledger. Where it may not be read, nothing is known of copies there: the warning says so.
func (e *engine) openBack(ctx context.Context) (warning string, err error) {
	e.back, err = ledger.Open(ctx, e.source)
	var denied *ledger.DeniedError
	if errors.As(err, &denied) {
		return fmt.Sprintf("what the source is a standby for isn't known, so loops aren't seen: %v", err), nil
	}
	if err != nil {
		return "", fmt.Errorf("mirror: source: %w", err)
	}
	return "", nil
}
