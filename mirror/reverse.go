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

// Reverse turns a retired flow's copies around, as after a failover: the target's topics are its own from then on, and the source's are known as copies of them, up to where the flow had
// got. So a mirror from the target to the source may follow, under the same names; it goes on where both logs are the same, and stops the partitions of a source that has records which the
// target never got. The configuration is that of the flow that was; one with a prefix can't be turned around. Reverse returns the topics' names, sorted, and may be called again: then there
// are none. A flow that is announced still is an error.
func Reverse(ctx context.Context, cfg Config) (topics []string, err error) {
	cfg, err = cfg.complete()
	if err != nil {
		return nil, err
	}
	if cfg.Prefix != "" {
		return nil, &ConfigError{Errs: []error{errors.New("there is a Prefix: copies under other names can't be turned around")}}
	}
	e, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer e.close()
	for key := range e.ledger.Each(flowPrefix + e.source.ID() + "/") {
		return nil, fmt.Errorf("mirror: flow %q isn't retired", strings.TrimPrefix(key, flowPrefix+e.source.ID()+"/"))
	}
	if e.back, err = ledger.Open(ctx, e.source); err != nil {
		return nil, fmt.Errorf("mirror: source: %w", err)
	}
	return e.reverse(ctx)
}

// reverse notes on the source what the target's notes say, and then forgets those. What the source has noted already is a newer one.
func (e *engine) reverse(ctx context.Context) (topics []string, err error) {
	note, forget, names := make(map[string]any), make(map[string]any), make(map[string]bool)
	prefix := identityPrefix + e.source.ID() + "/"
	for key, value := range e.ledger.Each(prefix) {
		forget[key] = nil
		target, partition, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		names[target] = true
		var was identity
		if err := ledger.Decode(key, value, &was); err != nil {
			return nil, fmt.Errorf("mirror: target: %w", err)
		}
		now := identityPrefix + e.target.ID() + "/" + was.Topic + "/" + partition
		if there, err := e.back.Get(now, &identity{}); err != nil {
			return nil, fmt.Errorf("mirror: source: %w", err)
		} else if there || partition == newCopy || was.Topic != target {
			continue
		}
		n, _ := strconv.ParseInt(partition, 10, 32)
		end, err := e.ownEnd(ctx, was.Topic, int32(n))
		if err != nil {
			return nil, err
		}
		note[now] = identity{
			Flow: e.cfg.Name, Topic: target, SourceID: was.TargetID, TargetID: was.SourceID, Start: was.Start, Turned: max(end, was.Position), Position: was.Position, Epoch: -1, At: time.Now().UTC().Truncate(time.Millisecond),
		}
	}
	if len(note) > 0 {
		if err := e.back.Put(ctx, note); err != nil {
			return nil, fmt.Errorf("mirror: source: %w", err)
		}
	}
	if len(forget) > 0 {
		if err := e.ledger.Put(ctx, forget); err != nil {
			return nil, fmt.Errorf("mirror: target: %w", err)
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// ownEnd is where a partition of the source ends before anything is copied onto it: all of that is its own. A flow that died may have noted less. Of a topic that is gone it is 0.
func (e *engine) ownEnd(ctx context.Context, topic string, partition int32) (int64, error) {
	found, err := e.source.Topics(ctx, topic)
	if err == nil {
		err = found[topic].Err
	}
	if rawkafka.Unknown(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("mirror: source: %s: %w", topic, err)
	}
	p := rawkafka.Partition{Topic: topic, TopicID: found[topic].ID, Partition: partition}
	got, err := e.source.ListOffsets(ctx, []rawkafka.Partition{p}, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug)
	if err == nil {
		err = got[p].Err
	}
	if err != nil {
		return 0, fmt.Errorf("mirror: source: %s: %w", p, err)
	}
	return got[p].Offset, nil
}
