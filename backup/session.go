package backup

import (
	"context"
	"fmt"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// connect connects to the source.
func connect(ctx context.Context, cfg Config, h *hooks) (*rawkafka.Cluster, error) {
	c, err := rawkafka.Connect(ctx, cfg.Source, rawkafka.Config{ClientID: cfg.ClientID, Logger: cfg.Logger, OnRetry: h.retry, RetryFor: cfg.retryFor})
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

// load reads what the archive holds.
func load(ctx context.Context, s *storage.Snapshot) (archive, error) {
	a := make(archive)
	if s == nil {
		return a, nil
	}
	for t, err := range s.Topics(ctx) {
		if err != nil {
			return nil, fmt.Errorf("backup: %w", err)
		}
		a[t.ID] = &archived{Topic: t}
	}
	return a, nil
}

// statesOf reads the newest histories of an archived topic.
func (a archive) statesOf(ctx context.Context, s *storage.Snapshot, t storage.Topic) (map[int32]storage.PartitionState, error) {
	if a[t.ID] == nil {
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

// adoptAll takes the selected topics in, and marks those that are gone.
func (e *engine) adoptAll(ctx context.Context, a archive, selected map[string]rawkafka.Topic, described []storage.Topic) ([]*part, error) {
	var parts []*part
	snapshot := e.w.Snapshot()
	for _, d := range described {
		states, err := a.statesOf(ctx, snapshot, d)
		if err != nil {
			return nil, err
		}
		known := a[d.ID]
		if known != nil {
			e.mu.Lock()
			e.topics[d.ID] = &topic{Topic: known.Topic}
			e.mu.Unlock()
		}
		parts = append(parts, e.adopt(d, states)...)
		if known == nil {
			e.hooks.incarnation(d)
		}
	}
	return parts, e.missing(ctx, a, selected)
}

// missing marks archived incarnations that the source has no more. A topic
// that isn't listed may be one that may not be described: it is asked for.
func (e *engine) missing(ctx context.Context, a archive, selected map[string]rawkafka.Topic) error {
	lost := make(map[string][]*archived)
	var names []string
	for _, t := range a {
		if now, ok := selected[t.Name]; t.Deleted.IsZero() && (!ok || now.ID != t.ID) {
			lost[t.Name] = append(lost[t.Name], t)
			names = append(names, t.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	topics, err := e.c.Topics(ctx, names...)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	for name, ts := range lost {
		for _, t := range ts {
			if now := topics[name]; rawkafka.Unknown(now.Err) || now.Err == nil && now.ID != t.ID {
				e.mu.Lock()
				known := &topic{Topic: t.Topic}
				e.topics[t.ID] = known
				e.mu.Unlock()
				e.gone(known)
			}
		}
	}
	return nil
}
