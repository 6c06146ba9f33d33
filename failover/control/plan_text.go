package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// steps says what Run would do.
func (p *Plan) steps() {
	sw := &p.c.cfg.Switch
	add := func(step Step, format string, args ...any) {
		p.Steps = append(p.Steps, PlannedStep{step, fmt.Sprintf(format, args...)})
	}
	if p.GiveUp {
		add(StepGiveUp, "write the opening epoch %d: back to %s; what was fenced is lifted, the copy goes on", p.Epoch+1, p.From)
		return
	}
	if p.left != nil && sw.Tail != nil {
		add(StepTail, "keep what %s has beyond the fork of epoch %d", p.To, p.left.Number)
	}
	open := p.Epoch + 1
	if p.Resumes == nil {
		add(StepClose, "write the closing epoch %d: clients stop", max(p.Epoch, 1)+1)
		open = max(p.Epoch, 1) + 2
	}
	if sw.Fence != nil {
		add(StepFence, "keep producers off %s at its brokers", p.From)
	}
	add(StepLease, "wait for what is left of the lease of %v, unless that is confirmed", p.wait)
	if sw.Replication != nil {
		if p.How == Switchover {
			add(StepDrain, "until everything on %s is on %s", p.From, p.To)
		}
		add(StepStop, "end the copy to %s", p.To)
	}
	if sw.Refill != nil {
		add(StepRefill, "copy to %s what the archive has and it hasn't", p.To)
	}
	add(StepForks, "note the ends of %d topics of %s", len(p.Topics), p.To)
	if sw.Offsets != nil {
		add(StepOffsets, "take care of groups on %s", p.To)
	}
	if sw.Fence != nil || sw.Rights != nil {
		add(StepRights, "let clients write to %s", p.To)
	}
	add(StepOpen, "write the opening epoch %d: clients go to %s", open, p.To)
}

// String is the plan as text for people.
func (p *Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "scope %s at epoch %d: %s switch from %s to %s\n", p.Scope, p.Epoch, p.How, p.From, p.To)
	if r := p.Resumes; r != nil {
		verb := "finishes"
		if p.GiveUp {
			verb = "gives up"
		}
		fmt.Fprintf(&b, "%s the switch that %s began at %s: %s\n", verb, r.By, r.At.Format(time.RFC3339), r.Reason)
	}
	if p.Lag != nil {
		fmt.Fprintf(&b, "%s\n", p.Lag.text(p.To))
	}
	partitions := 0
	for n := range maps.Values(p.Topics) {
		partitions += n
	}
	names := slices.Collect(maps.Keys(p.Topics))
	fmt.Fprintf(&b, "%d topics with %d partitions: %s\n", len(names), partitions, some(names))
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%-8s %s\n", s.Step, s.Do)
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	for _, c := range p.Conflicts {
		fmt.Fprintf(&b, "conflict: %s\n", c)
	}
	return b.String()
}

func (l *Lag) text(to string) string {
	if l.At.IsZero() {
		return "what " + to + " lacks isn't known"
	}
	text := fmt.Sprintf("%s lacks %d records, the oldest %v old, as of %s", to, l.Records, l.Age.Round(time.Millisecond), l.At.UTC().Format(time.RFC3339))
	if l.Unknown > 0 {
		text += fmt.Sprintf("; of %d partitions it isn't known", l.Unknown)
	}
	return text
}
