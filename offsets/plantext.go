package offsets

import (
	"fmt"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/internal/quote"
)

// String is the plan as text for people: a line for each offset, but for those that are committed
// already, which are counted.
func (p *GroupsPlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "groups of cluster %s, captured at %s, onto cluster %s\n", p.SourceClusterID, p.CapturedAt.UTC().Format(time.RFC3339), p.ClusterID)
	counts := map[Action]int{}
	for i := range p.Groups {
		p.Groups[i].text(&b, counts)
	}
	for _, n := range p.NotCarried {
		fmt.Fprintf(&b, "not carried: group %s: %s\n", quote.Name(n.Group), n.Why)
	}
	for _, u := range p.Unread {
		fmt.Fprintf(&b, "groups may be missing: %s\n", u)
	}
	fmt.Fprintf(&b, "%d groups: %d offsets to commit, %d of them clamped, %d committed already, %d left, %d refused\n",
		len(p.Groups), counts[DoCommit]+counts[DoClamp], counts[DoClamp], counts[DoKeep], counts[DoLeave], counts[DoRefuse])
	return b.String()
}

func (g *GroupPlan) text(b *strings.Builder, counts map[Action]int) {
	fmt.Fprintf(b, "group %s (%s)", quote.Name(g.Group), g.Type)
	if g.Do != "" {
		fmt.Fprintf(b, ": %s, %s: %s", g.Do, g.Why, g.Detail)
	}
	b.WriteByte('\n')
	for i := range g.Offsets {
		o := &g.Offsets[i]
		counts[o.Do]++
		if o.Do != DoKeep {
			o.text(b)
		}
	}
}

func (o *OffsetPlan) text(b *strings.Builder) {
	fmt.Fprintf(b, "  %s %s/%d at %d", o.Do, quote.Name(o.Topic), o.Partition, o.Offset)
	if o.Current != nil {
		fmt.Fprintf(b, ", now %d", o.Current.Offset)
	}
	if o.Source.Offset != o.Offset || o.Source.Topic != o.Topic {
		fmt.Fprintf(b, ", was %s/%d at %d", quote.Name(o.Source.Topic), o.Source.Partition, o.Source.Offset)
	}
	if o.How != HowExact {
		fmt.Fprintf(b, " (%s)", o.How)
	}
	if o.Detail != "" {
		fmt.Fprintf(b, ": %s: %s", o.Why, o.Detail)
	}
	if o.PendingAtSource {
		b.WriteString("; a transactional commit was under way at the source")
	}
	b.WriteByte('\n')
}
