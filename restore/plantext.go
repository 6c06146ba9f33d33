package restore

import (
	"fmt"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/internal/quote"
)

// String is the plan as text for people: what Run would do, then warnings and conflicts.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "snapshot %s of cluster %s onto cluster %s\n", p.Snapshot, p.SourceCluster, p.TargetCluster)
	for i := range p.Topics {
		p.Topics[i].text(&b)
	}
	if n := len(p.Groups); n > 0 {
		fmt.Fprintf(&b, "%d committed offsets\n", n)
	}
	if p.ACLs > 0 {
		fmt.Fprintf(&b, "%d ACLs\n", p.ACLs)
	}
	how := "holes by " + p.HoleMethod
	if p.Offsets == Translated.String() {
		how = "appended, with translated offsets"
	}
	fmt.Fprintf(&b, "%d records, %d bytes; %s, a round trip takes %s; estimated time %s\n",
		p.Records, p.Bytes, how, p.RoundTrip.Round(time.Microsecond), p.EstimatedTime.Round(time.Millisecond))
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	for _, c := range p.Conflicts {
		fmt.Fprintf(&b, "conflict: %s\n", c)
	}
	return b.String()
}

func (t *TopicPlan) text(b *strings.Builder) {
	verb := "go on with"
	if t.Create {
		verb = "create"
	}
	fmt.Fprintf(b, "%s %s", verb, quote.Name(t.Topic))
	if t.Source != t.Topic {
		fmt.Fprintf(b, " from %s", quote.Name(t.Source))
	}
	fmt.Fprintf(b, ": %d partitions, %d replicas\n", len(t.Partitions), t.ReplicationFactor)
	for _, key := range sortedKeys(t.Configs) {
		held := ""
		if _, ok := t.Held[key]; ok {
			held = " (held until Release)"
		}
		fmt.Fprintf(b, "  %s=%s%s\n", key, t.Configs[key], held)
	}
	for _, pp := range t.Partitions {
		fmt.Fprintf(b, "  %d: [%d,%d)", pp.Partition, pp.StartOffset, pp.EndOffset)
		if pp.Method == "" {
			b.WriteString(" complete\n")
			continue
		}
		if pp.Method == Translated.String() {
			fmt.Fprintf(b, " behind %d, %d there already: %d records, %d bytes, %s\n", pp.Position, pp.Placed, pp.Records, pp.Bytes, pp.Time.Round(time.Millisecond))
			continue
		}
		fmt.Fprintf(b, " from %d: %d records, %d bytes, %d hole runs, %d filler, %s\n",
			pp.Position, pp.Records, pp.Bytes, pp.HoleRuns, pp.Filler, pp.Time.Round(time.Millisecond))
	}
}
