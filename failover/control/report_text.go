package control

import (
	"fmt"
	"strings"
	"time"
)

// String is the report as text for people.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "scope %s: %s switch from %s to %s, %s: %s\n", r.Scope, r.How, r.From, r.To, r.ID, r.End)
	fmt.Fprintf(&b, "begun %s by %s", r.Start.UTC().Format(time.RFC3339), r.By)
	if r.Reason != "" {
		fmt.Fprintf(&b, ": %s", r.Reason)
	}
	b.WriteByte('\n')
	if r.Error != "" {
		fmt.Fprintf(&b, "error: %s\n%s\n", r.Error, r.Advice)
	}
	if r.End == EndSwitched {
		fmt.Fprintf(&b, "RTO %s, of it %s closed; epochs %d and %d\n", ms(r.RTOMillis), ms(r.ClosedMillis), r.Closed, r.Opened)
	}
	for _, p := range r.Phases {
		fmt.Fprintf(&b, "  %-8s %10s %s", p.Step, ms(p.Millis), p.Outcome)
		if p.Detail != "" {
			fmt.Fprintf(&b, ": %s", p.Detail)
		}
		b.WriteByte('\n')
	}
	r.textLoss(&b)
	r.textResults(&b)
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

// textLoss is the RPO.
func (r *Report) textLoss(b *strings.Builder) {
	if r.RPO == nil {
		return
	}
	fmt.Fprintf(b, "RPO: %s\n", r.RPO.text(r.To))
	const most = 20
	for i, p := range r.RPO.Partitions {
		if i == most {
			fmt.Fprintf(b, "  and %d more partitions\n", len(r.RPO.Partitions)-most)
			break
		}
		fmt.Fprintf(b, "  %s/%d: %d records", p.Topic, p.Partition, p.Records)
		if !p.Oldest.IsZero() {
			fmt.Fprintf(b, ", from %s", p.Oldest.UTC().Format(time.RFC3339Nano))
		}
		if !p.Newest.IsZero() {
			fmt.Fprintf(b, ", to %s", p.Newest.UTC().Format(time.RFC3339Nano))
		}
		b.WriteByte('\n')
	}
}

// textResults are those of the steps.
func (r *Report) textResults(b *strings.Builder) {
	if t := r.Tail; t != nil {
		fmt.Fprintf(b, "tail: %d records of %d partitions kept: %s\n", t.Records, t.Partitions, t.Where)
	}
	if f := r.Refill; f != nil {
		fmt.Fprintf(b, "refill: %d records, %d bytes, %s\n", f.Records, f.Bytes, f.Outcome)
	}
	if o := r.Offsets; o != nil {
		fmt.Fprintf(b, "offsets: %d of %d groups, %d committed, %d held, %d unknown\n", o.Offsets, o.Groups, o.Committed, o.Held, o.Unknown)
		for _, d := range o.Detail {
			fmt.Fprintf(b, "  %s\n", d)
		}
	}
}

func ms(v float64) string {
	return (time.Duration(v*1e6) * time.Nanosecond).Round(100 * time.Microsecond).String()
}
