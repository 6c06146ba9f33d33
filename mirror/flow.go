package mirror

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/internal/ledger"
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
