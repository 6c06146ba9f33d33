package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Reverse turns a retired flow's copies around, as after a failover: the target's topics are its
// own from then on, and the source's are known as copies of them, up to where the flow had got. So
// a mirror from the target to the source may follow, under the same names; it goes on where both
// logs are the same, and stops the partitions of a source that has records which the target never
// got. The configuration is that of the flow that was; one with a prefix can't be turned around.
// Reverse returns the topics' names, sorted, and may be called again: then there are none. A flow
// that is announced still is an error.
func Reverse(ctx context.Context, cfg Config) (topics []string, err error) {
	cfg, err = cfg.complete()
	if err != nil {
		return nil, err
	}
	if cfg.Prefix != "" {
		return nil, &ConfigError{Job: "mirror", Errs: []error{errors.New("there is a Prefix: copies under other names can't be turned around")}}
	}
	return onFlow(ctx, cfg, (*flow).turnAround)
}

// turnAround is reverse of a flow that isn't announced any more.
func (fl *flow) turnAround(ctx context.Context) (topics []string, err error) {
	prefix := flowPrefix + fl.source.ID() + "/"
	for key := range fl.ledger.Each(prefix) {
		return nil, fmt.Errorf("mirror: flow %q isn't retired", strings.TrimPrefix(key, prefix))
	}
	if fl.back, err = ledger.Open(ctx, fl.source); err != nil {
		return nil, fmt.Errorf("mirror: source: %w", err)
	}
	return fl.reverse(ctx)
}

// reverse notes on the source what the target's notes say, and then forgets those. What the source
// has noted already is a newer one.
func (fl *flow) reverse(ctx context.Context) (topics []string, err error) {
	turned, forget, names := make(map[string]identity), make(map[string]any), make(map[string]bool)
	prefix := identityPrefix + fl.source.ID() + "/"
	for key, value := range fl.ledger.Each(prefix) {
		forget[key] = nil
		target, partition, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		names[target] = true
		var was identity
		if err := ledger.Decode(key, value, &was); err != nil {
			return nil, fmt.Errorf("mirror: target: %w", err)
		}
		now := identityPrefix + fl.target.ID() + "/" + was.Topic + "/" + partition
		if there, err := fl.back.Get(now, &identity{}); err != nil {
			return nil, fmt.Errorf("mirror: source: %w", err)
		} else if there || partition == newCopy || was.Topic != target {
			continue
		}
		turned[now] = identity{
			Flow: fl.cfg.Name, Topic: target, SourceID: was.TargetID, TargetID: was.SourceID, Start: was.Start, Turned: was.Position, Position: was.Position, Epoch: -1, At: time.Now().UTC().Truncate(time.Millisecond),
		}
	}
	ends, err := fl.ownEnds(ctx, turned)
	if err != nil {
		return nil, err
	}
	note := make(map[string]any, len(turned))
	for key, id := range turned {
		id.Turned = max(ends[key], id.Turned)
		note[key] = id
	}
	if len(note) > 0 {
		if err := fl.back.Put(ctx, note); err != nil {
			return nil, fmt.Errorf("mirror: source: %w", err)
		}
	}
	if len(forget) > 0 {
		if err := fl.ledger.Put(ctx, forget); err != nil {
			return nil, fmt.Errorf("mirror: target: %w", err)
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// ownEnds are where partitions of the source end before anything is copied onto them, by the keys
// of their notes: all of that is their own. A flow that died may have noted less. Topics that are
// gone have none.
func (fl *flow) ownEnds(ctx context.Context, turned map[string]identity) (map[string]int64, error) {
	topics := make(map[string]bool)
	for _, id := range turned {
		topics[id.Topic] = true // the same name on both sides
	}
	if len(topics) == 0 {
		return nil, nil
	}
	found, err := fl.source.Topics(ctx, slices.Sorted(maps.Keys(topics))...)
	if err != nil {
		return nil, fmt.Errorf("mirror: source: topics: %w", err)
	}
	keys := make(map[rawkafka.Partition]string)
	for key, id := range turned {
		t := found[id.Topic]
		if rawkafka.Unknown(t.Err) {
			continue
		}
		if t.Err != nil {
			return nil, fmt.Errorf("mirror: source: %s: %w", id.Topic, t.Err)
		}
		if n, err := strconv.ParseInt(key[strings.LastIndexByte(key, '/')+1:], 10, 32); err == nil {
			keys[rawkafka.Partition{Topic: id.Topic, TopicID: t.ID, Partition: int32(n)}] = key
		}
	}
	got, err := fl.source.ListOffsets(ctx, slices.Collect(maps.Keys(keys)), rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug)
	if err != nil {
		return nil, fmt.Errorf("mirror: source: offsets: %w", err)
	}
	ends := make(map[string]int64, len(keys))
	for p, key := range keys {
		if o := got[p]; o.Err != nil {
			return nil, fmt.Errorf("mirror: source: %s: %w", p, o.Err)
		}
		ends[key] = got[p].Offset
	}
	return ends, nil
}
