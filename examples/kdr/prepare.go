package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/register"
)

// prepared is the document of a failback's first step.
type prepared struct {
	To string `json:"to"`
	// Epoch is the one that left it by force; 0: it wasn't.
	Epoch int64               `json:"epoch"`
	Tail  *control.TailResult `json:"tail,omitempty"`
	// Forked are topics with a tail that are still there, Deleted those that were deleted.
	Forked  []string `json:"forked"`
	Deleted []string `json:"deleted"`
	Next    []string `json:"next"`
	DryRun  bool     `json:"dry_run"`
}

// prepareFailback saves the tail of a cluster, and clears the way of the mirror back to it.
func (a *app) prepareFailback(ctx context.Context, f *failoverFlags) error {
	s, done, err := f.clusters.file.open(ctx, a, reading)
	if err != nil {
		return err
	}
	defer done()
	last, left, err := s.leftAt(ctx, f.to)
	switch {
	case err != nil:
		return err
	case last.Closing():
		return &refusedError{text: fmt.Sprintf("a switch from %s to %s is under way", last.From, last.Target)}
	case s.file.active(last) == f.to:
		return &refusedError{text: f.to + " is active"}
	}
	d := prepared{To: f.to, Forked: []string{}, Deleted: []string{}, DryRun: f.dryRun}
	if left != nil {
		d.Epoch = left.Number
		if err := s.prepare(ctx, f, *left, &d); err != nil {
			return err
		}
	}
	d.next(f, s.file.active(last))
	if a.json {
		return a.document(d)
	}
	return a.printf("%s", d.text())
}

// prepare saves, and deletes where that is asked for.
func (s *switching) prepare(ctx context.Context, f *failoverFlags, left register.Epoch, d *prepared) error {
	at := slices.IndexFunc(s.clusters, func(c failover.Cluster) bool { return c.Name == f.to })
	cl, err := kgo.NewClient(s.clusters[at].Opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	saver := &tailSaver{s: s, store: &f.tail}
	req := control.TailRequest{Scope: s.file.Scope, Cluster: s.clusters[at], Left: left}
	if f.dryRun {
		_, ids, err := saver.tails(ctx, adm, req)
		d.Forked = append(d.Forked, slices.Sorted(maps.Keys(ids))...)
		return err
	}
	saved, err := saver.save(ctx, req)
	if err != nil {
		return err
	}
	d.Tail = &saved.TailResult
	return clearForked(ctx, adm, saved, f.deleteForked, d)
}

// clearForked deletes topics that are still those whose tail was saved; one that was created anew
// since isn't.
func clearForked(ctx context.Context, adm *kadm.Client, saved *savedTail, remove bool, d *prepared) error {
	there, err := adm.ListTopics(ctx)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(saved.Topics)) {
		if t, ok := there[name]; !ok || t.ID.String() != saved.Topics[name] {
			continue
		}
		if !remove {
			d.Forked = append(d.Forked, name)
			continue
		}
		if _, err := adm.DeleteTopic(ctx, name); err != nil {
			return fmt.Errorf("delete %s: %w", name, err)
		}
		d.Deleted = append(d.Deleted, name)
	}
	return nil
}

// leftAt finds the newest epoch, and the one at which a cluster was left by force since it was last
// active, if it was.
func (s *switching) leftAt(ctx context.Context, cluster string) (last register.Epoch, left *register.Epoch, err error) {
	for e, err := range register.History(ctx, s.register, s.file.Scope) {
		if err != nil {
			return last, nil, err
		}
		switch last = e; {
		case e.Active == cluster:
			left = nil
		case e.Active != "" && e.From == cluster && !e.Planned:
			left = &e
		}
	}
	return last, left, nil
}

// next says how to go on.
func (d *prepared) next(f *failoverFlags, active string) {
	say := func(format string, args ...any) { d.Next = append(d.Next, fmt.Sprintf(format, args...)) }
	if len(d.Forked) > 0 {
		say("delete on %s, or run this with --delete-forked: %s", d.To, strings.Join(d.Forked, ", "))
	}
	say("kdr mirror --clusters %s --from-name %s --to-name %s", f.clusters.path, active, d.To)
	say("kdr failback --clusters %s --to %s --save-tail …, when it has caught up", f.clusters.path, d.To)
}

func (d *prepared) text() string {
	var b strings.Builder
	switch {
	case d.Epoch == 0:
		fmt.Fprintf(&b, "%s wasn't left by force: it has no tail\n", d.To)
	case d.DryRun:
		fmt.Fprintf(&b, "%s was left by force at epoch %d; topics with a tail: %d\n", d.To, d.Epoch, len(d.Forked))
	default:
		fmt.Fprintf(&b, "%s was left by force at epoch %d; its tail: %d records of %d partitions, in %s\n", d.To, d.Epoch, d.Tail.Records, d.Tail.Partitions, d.Tail.Where)
	}
	if len(d.Deleted) > 0 {
		fmt.Fprintf(&b, "deleted on %s: %s\n", d.To, strings.Join(d.Deleted, ", "))
	}
	for _, n := range d.Next {
		fmt.Fprintf(&b, "next: %s\n", n)
	}
	return b.String()
}
