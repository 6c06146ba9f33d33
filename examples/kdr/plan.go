package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/internal/quote"
	"github.com/kafkadr/kafkadr/restore"
)

// printPlan prints a plan for a reader.
func (a *app) printPlan(p *restore.Plan) error {
	var b strings.Builder
	fmt.Fprintf(&b, "plan: snapshot %s of cluster %s onto cluster %s\n", p.Snapshot, p.SourceCluster, p.TargetCluster)
	how := "holes by " + p.HoleMethod
	if p.Offsets == restore.Translated.String() {
		how = "appended, with translated offsets"
	}
	fmt.Fprintf(&b, "%d topics, %d records, %s, about %s; %s, round trip %s\n", len(p.Topics), p.Records, units.Size(p.Bytes),
		p.EstimatedTime.Round(time.Second), how, p.RoundTrip.Round(time.Microsecond))
	for _, t := range p.Topics {
		describeTopicPlan(&b, t)
	}
	for _, g := range p.Groups {
		fmt.Fprintf(&b, "group %s: %s/%d at %d%s\n", quote.Name(g.Group), quote.Name(g.Topic), g.Partition, g.Offset, groupNote(g))
	}
	if p.ACLs > 0 {
		fmt.Fprintf(&b, "%d ACLs\n", p.ACLs)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	for _, c := range p.Conflicts {
		fmt.Fprintf(&b, "conflict: %s\n", c)
	}
	return a.printf("%s", b.String())
}

func describeTopicPlan(b *strings.Builder, t restore.TopicPlan) {
	how := "go on with"
	if t.Create {
		how = "create"
	}
	from := ""
	if t.Source != t.Topic {
		from = " from " + t.Source
	}
	fmt.Fprintf(b, "%s topic %s%s: %d partitions, replication factor %d\n", how, quote.Name(t.Topic), from, len(t.Partitions), t.ReplicationFactor)
	for _, key := range slices.Sorted(maps.Keys(t.Configs)) {
		fmt.Fprintf(b, "  %s=%s%s\n", key, t.Configs[key], heldNote(t.Held, key))
	}
	for _, p := range t.Partitions {
		if p.Method == restore.Translated.String() {
			fmt.Fprintf(b, "  partition %d: translated, offsets %d to %d behind %d, %d records are there, %d records, %s to append\n",
				p.Partition, p.StartOffset, p.EndOffset, p.Position, p.Placed, p.Records, units.Size(p.Bytes))
			continue
		}
		method := p.Method
		if method == "" {
			method = "nothing to do"
		}
		fmt.Fprintf(b, "  partition %d: %s, offsets %d to %d from %d on, %d records, %s, %d holes\n",
			p.Partition, method, p.StartOffset, p.EndOffset, p.Position, p.Records, units.Size(p.Bytes), p.HoleRuns)
	}
}

func heldNote(held map[string]string, key string) string {
	if _, ok := held[key]; ok {
		return " (held back until --release)"
	}
	return ""
}

func groupNote(g restore.GroupPlan) string {
	if g.Why == "" {
		return ""
	}
	return fmt.Sprintf(" - was %d: %s", g.AsRead, g.Why)
}

// printConfigs prints configs by topic.
func (a *app) printConfigs(what string, topics map[string]map[string]string) error {
	if len(topics) == 0 {
		return a.printf("nothing is held back\n")
	}
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		for _, key := range slices.Sorted(maps.Keys(topics[topic])) {
			if err := a.printf("%s %s: %s=%s\n", what, topic, key, topics[topic][key]); err != nil {
				return err
			}
		}
	}
	return nil
}
