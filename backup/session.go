package backup

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// connect connects to the source.
func connect(ctx context.Context, cfg Config, h *hooks) (*rawkafka.Cluster, error) {
	c, err := rawkafka.Connect(ctx, cfg.Source, rawkafka.Config{ClientID: cfg.ClientID, Logger: cfg.Logger, OnRetry: h.retry, RetryFor: cfg.retryFor, OnWrong: h.wrong, OnUnreachable: h.unreachable})
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return c, nil
}

// claim becomes the lineage's writer.
func claim(ctx context.Context, cfg Config, clusterID, kind string) (*storage.Writer, error) {
	w, err := cfg.Archive.NewWriter(ctx, storage.Lineage{ClusterID: clusterID}, storage.WriterConfig{
		Owner: cfg.Owner, Kind: kind, Segment: segment.Options{Zstd: cfg.Zstd},
	})
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	return w, nil
}

// load takes in the topics that the archive holds.
func (e *engine) load(ctx context.Context) error {
	s := e.w.Snapshot()
	if s == nil {
		return nil
	}
	for t, err := range s.Topics(ctx) {
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		e.topics[t.ID] = &topic{Topic: t, policy: policyOf(t)}
	}
	return nil
}

// states are the newest histories that the archive holds of a topic, where its
// partitions haven't been taken in yet.
func (e *engine) states(ctx context.Context, t storage.Topic) (map[int32]storage.PartitionState, error) {
	e.mu.Lock()
	known := e.topics[t.ID]
	_, taken := e.parts[rawkafka.Partition{Topic: t.Name, TopicID: t.ID}]
	e.mu.Unlock()
	s := e.w.Snapshot()
	if s == nil || known == nil || taken {
		return nil, nil
	}
	states := make(map[int32]storage.PartitionState)
	for st, err := range s.Partitions(ctx, t.ID) {
		if err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
		states[st.Partition.Partition] = st
	}
	return states, nil
}

// adoptAll takes the selected topics in, marks those that are gone, and
// returns the partitions that are to be looked at.
func (e *engine) adoptAll(ctx context.Context, s seen, described []storage.Topic) ([]failure, error) {
	var look []failure
	for _, d := range described {
		if err := s.selected[d.Name].Err; err != nil || d.Partitions == 0 {
			continue // it is being made, or taken away, or denied
		}
		states, err := e.states(ctx, d)
		if err != nil {
			return nil, err
		}
		parts, fresh := e.adopt(d, states)
		for _, p := range parts {
			look = append(look, failure{p, nil})
		}
		if fresh {
			e.hooks.incarnation(d)
		}
	}
	denied, err := e.settled(ctx, s.became)
	return append(look, denied...), err
}

// settled marks incarnations that the source has no more. One that may not be described any more is
// returned with the answer.
func (e *engine) settled(ctx context.Context, became map[source.Known]source.Verdict) ([]failure, error) {
	e.mu.Lock()
	known := slices.Collect(maps.Values(e.topics))
	e.mu.Unlock()
	var denied []failure
	for _, t := range known {
		switch v, ok := became[t.known()]; {
		case !ok:
		case v.State == source.Gone || v.State == source.Replaced:
			e.gone(t)
		case rawkafka.Denies(v.Now.Err):
			states, err := e.states(ctx, t.Topic)
			if err != nil {
				return nil, err
			}
			parts, _ := e.adopt(t.Topic, states)
			for _, p := range parts {
				denied = append(denied, failure{p, v.Now.Err})
			}
		}
	}
	return denied, nil
}
