package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/internal/quote"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// shown is a manifest, resolved.
type shown struct {
	storage.Info
	Topics []shownTopic    `json:"topics"`
	Groups []storage.Group `json:"groups"`
	storage.Cluster
	ObjectCount int   `json:"objects"`
	ObjectBytes int64 `json:"object_bytes"`
}

type shownTopic struct {
	storage.Topic
	Partitions []shownPartition `json:"partitions"`
}

type shownPartition struct {
	Partition int32 `json:"partition"`
	storage.PartitionState
	// Histories are the older ones, which truncations of the source ended.
	Histories []storage.PartitionState `json:"histories,omitempty"`
}

func newShow(a *app) *cobra.Command {
	var store storeFlags
	var id, cluster string
	cmd := &cobra.Command{
		Use:   "show --store URL [SNAPSHOT]",
		Short: "Show what a snapshot holds: topics, configs, ranges and holes, groups, ACLs",
		RunE: a.run(1, func(args []string) { store.check(a); id = first(args) }, func(ctx context.Context) error {
			arch, done, err := store.open(ctx, a, reading, storage.Hooks{})
			if err != nil {
				return err
			}
			defer done()
			s, err := openSnapshot(ctx, arch, id, cluster)
			if err != nil {
				return err
			}
			m, err := resolve(ctx, s)
			if err != nil {
				return err
			}
			if a.json {
				return a.document(m)
			}
			return a.printShown(m)
		}),
	}
	store.register(cmd.Flags())
	registerCluster(cmd.Flags(), &cluster)
	return cmd
}

// resolve reads all of a snapshot's manifest.
func resolve(ctx context.Context, s *storage.Snapshot) (*shown, error) {
	m := &shown{Info: s.Info(), Topics: []shownTopic{}, Groups: []storage.Group{}}
	for t, err := range s.Topics(ctx) {
		if err != nil {
			return nil, err
		}
		partitions, err := resolvePartitions(ctx, s, t)
		if err != nil {
			return nil, err
		}
		m.Topics = append(m.Topics, shownTopic{t, partitions})
	}
	slices.SortFunc(m.Topics, func(x, y shownTopic) int {
		if c := strings.Compare(x.Name, y.Name); c != 0 {
			return c
		}
		return x.Deleted.Compare(y.Deleted)
	})
	for g, err := range s.Groups(ctx) {
		if err != nil {
			return nil, err
		}
		g.Offsets = list(g.Offsets)
		m.Groups = append(m.Groups, g)
	}
	for o, err := range s.Objects(ctx) {
		if err != nil {
			return nil, err
		}
		m.ObjectCount++
		m.ObjectBytes += o.Size
	}
	var err error
	m.Cluster, err = s.Cluster(ctx)
	m.ACLs, m.Quotas, m.ScramUsers, m.LeftOut = list(m.ACLs), list(m.Quotas), list(m.ScramUsers), list(m.LeftOut)
	return m, err
}

func resolvePartitions(ctx context.Context, s *storage.Snapshot, t storage.Topic) ([]shownPartition, error) {
	partitions := []shownPartition{}
	for p, err := range s.Partitions(ctx, t.ID) {
		if err != nil {
			return nil, err
		}
		sp := shownPartition{Partition: p.Partition.Partition, PartitionState: p}
		if p.History > 0 {
			for h, err := range s.Histories(ctx, segment.Partition{Topic: t.ID, Partition: sp.Partition}) {
				if err != nil {
					return nil, err
				}
				if h.History != p.History {
					sp.Histories = append(sp.Histories, h)
				}
			}
		}
		partitions = append(partitions, sp)
	}
	return partitions, nil
}

func (a *app) printShown(m *shown) error {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("snapshot %s of cluster %s at %s%s", m.ID, m.ClusterID, m.CreatedAt.UTC().Format(time.RFC3339), note(infoNote(m.Info)))
	line("%d topics, %d partitions, %d records, %d bytes in %d objects of %d bytes", m.Info.Topics, m.Info.Partitions, m.Info.Records, m.Info.Bytes, m.ObjectCount, m.ObjectBytes)
	for _, t := range m.Topics {
		describeTopic(line, t)
	}
	for _, g := range m.Groups {
		line("\ngroup %s (%s, %s)%s", quote.Name(g.Name), g.Type, groupState(g), note(g.Error))
		for _, o := range g.Offsets {
			line("  %s/%d at %d", quote.Name(o.Topic), o.Partition, o.Offset)
		}
		for _, p := range g.Pending {
			line("  %s/%d: a transactional commit was under way", quote.Name(p.Topic), p.Partition)
		}
	}
	describeCluster(line, m.Cluster)
	return a.printf("%s", b.String())
}

// groupState is a group's state, or that it is no more.
func groupState(g storage.Group) string {
	if !g.AbsentSince.IsZero() {
		return "absent since " + g.AbsentSince.UTC().Format(time.RFC3339)
	}
	return g.State
}

func describeTopic(line func(string, ...any), t shownTopic) {
	deleted := ""
	if !t.Deleted.IsZero() {
		deleted = "deleted, seen gone at " + t.Deleted.UTC().Format(time.RFC3339)
	}
	line("\ntopic %s (%s), %d partitions, replication factor %d%s", quote.Name(t.Name), t.ID, t.Topic.Partitions, t.ReplicationFactor, note(deleted))
	for _, c := range t.Configs {
		if c.Value != nil && c.Source == "DYNAMIC_TOPIC_CONFIG" {
			line("  %s=%s", c.Key, *c.Value)
		}
	}
	if t.ConfigsError != "" {
		line("  configs not read: %s", t.ConfigsError)
	}
	for _, p := range t.Partitions {
		describePartition(line, p.Partition, p.PartitionState)
		for _, h := range p.Histories {
			describePartition(line, p.Partition, h)
		}
	}
}

func describePartition(line func(string, ...any), partition int32, p storage.PartitionState) {
	history := ""
	if p.Truncated != "" {
		history = fmt.Sprintf("history %d, ended: %s", p.History, p.Truncated)
	}
	line("  partition %d: offsets %d to %d, %d records, %d bytes%s", partition, p.StartOffset, p.EndOffset, p.Records, p.Bytes, note(history))
	if p.Fault != "" {
		line("    not read up to the cut: %s", p.Fault)
	}
	for _, h := range p.Holes {
		line("    hole %d to %d: %s%s", h.BaseOffset, h.EndOffset, h.Reason, note(h.Evidence))
	}
	if p.Missing > 0 {
		line("    %d offsets in all have no record: removed by the cleaner, between batches or inside them", p.Missing)
	}
	if p.HoleRuns > 0 {
		line("    up to %d ranges that consumers don't see: transaction markers (control batches), aborted records, compacted offsets", p.HoleRuns)
	}
}

func describeCluster(line func(string, ...any), c storage.Cluster) {
	line("\n%d brokers, %d ACLs, %d quotas, %d SCRAM users", c.Brokers, len(c.ACLs), len(c.Quotas), len(c.ScramUsers))
	for _, e := range c.ACLs {
		line("  acl %s %s %s on %s %s (%s) from %s", e.Permission, quote.Name(e.Principal), e.Operation, e.ResourceType, quote.Name(e.ResourceName), e.PatternType, e.Host)
	}
	if len(c.LeftOut) > 0 {
		line("left out by the selection: %s", quote.Names(c.LeftOut))
	}
	for _, what := range slices.Sorted(maps.Keys(c.Unread)) {
		line("not read: %s: %s", what, c.Unread[what])
	}
}

// note is text behind a dash, or nothing.
func note(text string) string {
	if text == "" {
		return ""
	}
	return " - " + text
}
