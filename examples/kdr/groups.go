package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/quote"
	"github.com/kafkadr/kafkadr/offsets"
)

// groupsFlags are the groups command's.
type groupsFlags struct {
	cluster            clusterFlags
	action             string
	file, rollbackFile string
	groups, exclude    []string
	prefix             string

	dryRun, allowRewind, allowPastEnd, restoreAbsent, skipRefused, force bool
}

// groupActions are what the command does, and which of its flags mean something to it.
var groupActions = map[string][]string{
	"snapshot": {"groups", "exclude"},
	"diff":     {"groups", "exclude"},
	"apply":    {"groups", "exclude", "dry-run", "allow-rewind", "allow-past-end", "restore-absent", "skip-refused", "prefix", "rollback-file"},
	"rollback": {"dry-run", "skip-refused", "force", "rollback-file"},
}

func newGroups(a *app) *cobra.Command {
	var f groupsFlags
	cmd := &cobra.Command{
		Use:   "groups --brokers HOST:PORT,… snapshot|diff|apply|rollback --file FILE",
		Short: "Keep the committed offsets of consumer groups in a file, and commit them by a plan",
		Long: `Keep the committed offsets of all groups in a file, and commit them by a plan.

snapshot  writes the file. What was in it counts as the last snapshot: a group
          that it has and the cluster lacks is carried as absent since then.
diff      says how the cluster differs from the file.
apply     plans, prints the plan, and commits. Groups that have members, offsets
          below what is committed, topics that aren't there are refused before
          the first effect (exit code 4); past the end becomes the end. What was
          committed before goes to FILE.rollback first.
rollback  restores that, and removes FILE.rollback when all is as it was.`,
		Example: `  kdr groups --brokers old:9092 snapshot --file groups.json
  kdr groups --brokers new:9092 apply --file groups.json --dry-run
  kdr groups --brokers new:9092 apply --file groups.json
  kdr groups --brokers new:9092 rollback --file groups.json`,
	}
	f.register(cmd)
	cmd.RunE = a.run(1, func(args []string) { f.action = first(args); f.check(a, cmd) }, func(ctx context.Context) error {
		if err := f.ready(); err != nil {
			return err
		}
		cl, err := f.client(ctx, a)
		if err != nil {
			return err
		}
		defer cl.Close()
		switch f.action {
		case "snapshot":
			return a.snapshotGroups(ctx, cl, &f)
		case "diff":
			return a.diffGroups(ctx, cl, &f)
		case "apply":
			return a.applyGroups(ctx, cl, &f)
		}
		return a.rollbackGroups(ctx, cl, &f)
	})
	return cmd
}

func (f *groupsFlags) register(cmd *cobra.Command) {
	fs := cmd.Flags()
	f.cluster.register(fs, "to")
	fs.StringVar(&f.file, "file", "", "the file with the groups' offsets")
	fs.StringVar(&f.rollbackFile, "rollback-file", "", "the file for what was committed before (default FILE.rollback)")
	fs.StringArrayVar(&f.groups, "groups", nil, "groups to take, a regular expression for the whole name (repeatable; default all)")
	fs.StringArrayVar(&f.exclude, "exclude", nil, "groups to leave out, a regular expression for the whole name (repeatable)")
	fs.StringVar(&f.prefix, "prefix", "", "the topics have this before their names on the cluster")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the plan, change nothing")
	fs.BoolVar(&f.allowRewind, "allow-rewind", false, "commit offsets below what is committed")
	fs.BoolVar(&f.allowPastEnd, "allow-past-end", false, "commit offsets past the partition's end as they are")
	fs.BoolVar(&f.restoreAbsent, "restore-absent", false, "commit the offsets of groups that were gone at the source")
	fs.BoolVar(&f.skipRefused, "skip-refused", false, "do the rest where something is refused")
	fs.BoolVar(&f.force, "force", false, "roll back what others have committed since, too")
}

func (f *groupsFlags) check(a *app, cmd *cobra.Command) {
	f.cluster.check(a)
	means, known := groupActions[f.action]
	switch {
	case f.action == "":
		a.fault("want snapshot, diff, apply or rollback")
	case !known:
		a.fault("want snapshot, diff, apply or rollback, got %q", f.action)
	}
	for _, name := range []string{"rollback-file", "groups", "exclude", "prefix", "dry-run", "allow-rewind", "allow-past-end", "restore-absent", "skip-refused", "force"} {
		if known && cmd.Flags().Changed(name) && !slices.Contains(means, name) {
			a.fault("--%s means nothing to %s", name, f.action)
		}
	}
	if f.file == "" && (f.action != "rollback" || f.rollbackFile == "") {
		a.fault("--file is required")
	}
	checkExpressions(a, "--groups", f.groups)
	checkExpressions(a, "--exclude", f.exclude)
	f.rollbackFile = cmp.Or(f.rollbackFile, f.file+".rollback")
}

// client connects. Another cluster that answers later, at the same address, is an error.
func (f *groupsFlags) client(ctx context.Context, a *app) (*kgo.Client, error) {
	opts, err := offsets.SameCluster(append(f.cluster.opts(a), kgo.ClientID(cmp.Or(f.cluster.config.ClientID, "kafkadr"))), "")
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		cl.Close()
		return nil, fmt.Errorf("%s: %w", strings.Join(f.cluster.brokers, ","), err)
	}
	return cl, nil
}

func (a *app) retryGroups(op string, err error) { a.log.Debug("trying again", "op", op, "err", err) }

// groups says how many groups are done.
func (p *progress) groups(done, total int) {
	p.set(amounts{extra: fmt.Sprintf("%d/%d groups", done, total)})
}

// snapshotted is a snapshot's document.
type snapshotted struct {
	File       string               `json:"file"`
	ClusterID  string               `json:"cluster_id"`
	Groups     int                  `json:"groups"`
	Offsets    int                  `json:"offsets"`
	Absent     []string             `json:"absent"`
	Pending    []string             `json:"pending"`
	NotCarried []offsets.NotCarried `json:"not_carried"`
	Failed     []string             `json:"failed"`
}

func (a *app) snapshotGroups(ctx context.Context, cl *kgo.Client, f *groupsFlags) error {
	var since *offsets.Groups
	if _, err := os.Stat(f.file); err == nil {
		if since, err = readGroupsFile(f.file); err != nil {
			return err
		}
	}
	got, err := offsets.Capture(ctx, cl, offsets.CaptureConfig{Only: f.groups, Exclude: f.exclude, Since: since, OnRetry: a.retryGroups})
	if err != nil {
		return err
	}
	if since != nil && since.ClusterID != got.ClusterID {
		return &refusedError{fmt.Sprintf("%s is of cluster %s, and this is %s", f.file, since.ClusterID, got.ClusterID)}
	}
	if err := replaceFile(f.file, got); err != nil {
		return err
	}
	s := summarize(f.file, got)
	if err := a.printSnapshotted(s); err != nil {
		return err
	}
	if len(s.Failed) > 0 {
		return errors.New("the snapshot is incomplete")
	}
	return nil
}

func summarize(file string, got *offsets.Groups) *snapshotted {
	s := &snapshotted{
		File: file, ClusterID: got.ClusterID, Groups: len(got.Groups), Absent: []string{}, Pending: []string{}, NotCarried: got.NotCarried,
		Failed: list(got.Unread),
	}
	for _, g := range got.Groups {
		s.Offsets += len(g.Offsets)
		if !g.AbsentSince.IsZero() {
			s.Absent = append(s.Absent, fmt.Sprintf("%s since %s", quote.Name(g.Group), g.AbsentSince.UTC().Format(time.RFC3339)))
		}
		for _, p := range g.Pending {
			s.Pending = append(s.Pending, fmt.Sprintf("%s on %s/%d", quote.Name(g.Group), quote.Name(p.Topic), p.Partition))
		}
		if g.Error != "" {
			s.Failed = append(s.Failed, fmt.Sprintf("group %s: %s", quote.Name(g.Group), g.Error))
		}
	}
	return s
}

func (a *app) printSnapshotted(s *snapshotted) error {
	if a.json {
		return a.document(s)
	}
	var b strings.Builder
	for _, n := range s.NotCarried {
		fmt.Fprintf(&b, "not carried: group %s: %s\n", quote.Name(n.Group), n.Why)
	}
	for _, text := range s.Absent {
		fmt.Fprintf(&b, "absent: group %s\n", text)
	}
	for _, text := range s.Pending {
		fmt.Fprintf(&b, "a transactional commit is under way: group %s\n", text)
	}
	for _, text := range s.Failed {
		fmt.Fprintf(&b, "not read: %s\n", text)
	}
	fmt.Fprintf(&b, "%d groups with %d offsets of cluster %s in %s\n", s.Groups, s.Offsets, s.ClusterID, s.File)
	return a.printf("%s", b.String())
}

func (a *app) diffGroups(ctx context.Context, cl *kgo.Client, f *groupsFlags) error {
	was, err := f.read()
	if err != nil {
		return err
	}
	now, err := offsets.Capture(ctx, cl, offsets.CaptureConfig{Only: f.groups, Exclude: f.exclude, SkipPending: true, OnRetry: a.retryGroups})
	if err != nil {
		return err
	}
	d := offsets.Diff(was, now)
	switch {
	case a.json:
		return a.document(d)
	case d.Empty():
		return a.printf("no difference\n")
	}
	return a.printf("%s", d)
}

// applied is an application's document: the plan, then what was done.
type applied struct {
	Plan         *offsets.GroupsPlan `json:"plan"`
	DryRun       bool                `json:"dry_run"`
	RollbackFile string              `json:"rollback_file,omitempty"`
	*offsets.Result
}

func (a *app) applyGroups(ctx context.Context, cl *kgo.Client, f *groupsFlags) error {
	groups, err := readGroupsFile(f.file)
	if err != nil {
		return err
	}
	plan, err := offsets.NewGroupsPlan(ctx, cl, offsets.PlanConfig{
		Groups: groups, Only: f.groups, Exclude: f.exclude, AllowRewind: f.allowRewind, AllowPastEnd: f.allowPastEnd, RestoreAbsent: f.restoreAbsent,
		Translate: offsets.Through(offsets.Exact{Rename: func(topic string) string { return f.prefix + topic }}), OnRetry: a.retryGroups,
	})
	if err != nil {
		return err
	}
	if !a.json {
		if err := a.printf("%s", plan); err != nil {
			return err
		}
	}
	refused := plan.Refused()
	if f.dryRun || len(refused) > 0 && !f.skipRefused {
		if a.json {
			if err := a.document(applied{Plan: plan, DryRun: f.dryRun}); err != nil {
				return err
			}
		}
		if len(refused) > 0 && !f.skipRefused {
			return &offsets.RefusedError{Refused: refused}
		}
		return nil
	}
	doc := applied{Plan: plan}
	p := a.startProgress("groups")
	defer p.end()
	res, err := plan.Apply(ctx, cl, offsets.ApplyConfig{
		SkipRefused: f.skipRefused, OnRetry: a.retryGroups, OnProgress: p.groups,
		Save: func(b *offsets.Before) error {
			doc.RollbackFile = f.rollbackFile
			return saveBefore(f.rollbackFile, b)
		},
	})
	p.end()
	if res == nil {
		return err
	}
	doc.Result = res
	return errors.Join(a.printApplied(doc), err)
}

func (a *app) printApplied(doc applied) error {
	if a.json {
		return a.document(doc)
	}
	var b strings.Builder
	writeResult(&b, doc.Result)
	fmt.Fprintf(&b, "committed %d offsets of %d groups; %d were right already\n", doc.Offsets, doc.Groups, doc.Kept)
	if doc.RollbackFile != "" {
		fmt.Fprintf(&b, "what was committed before is in %s\n", doc.RollbackFile)
	}
	return a.printf("%s", b.String())
}

func writeResult(b *strings.Builder, r *offsets.Result) {
	for _, one := range r.Raised {
		fmt.Fprintf(b, "raised: %s\n", one)
	}
	for _, one := range r.Refused {
		fmt.Fprintf(b, "refused: %s\n", one)
	}
}

// rolledBack is a rollback's document.
type rolledBack struct {
	DryRun       bool   `json:"dry_run"`
	RollbackFile string `json:"rollback_file"`
	// Removed says that all is as it was, and the file is gone.
	Removed bool `json:"removed"`
	*offsets.Result
}

func (a *app) rollbackGroups(ctx context.Context, cl *kgo.Client, f *groupsFlags) error {
	before, err := readBefore(f.rollbackFile)
	if err != nil {
		return err
	}
	p := a.startProgress("groups")
	defer p.end()
	res, err := offsets.Rollback(ctx, cl, before, offsets.RollbackConfig{
		Force: f.force, DryRun: f.dryRun, SkipRefused: f.skipRefused, OnRetry: a.retryGroups, OnProgress: p.groups,
	})
	p.end()
	if res == nil {
		return err
	}
	doc := rolledBack{DryRun: f.dryRun, RollbackFile: f.rollbackFile, Result: res}
	if err == nil && !f.dryRun && len(res.Refused) == 0 {
		err = os.Remove(f.rollbackFile)
		doc.Removed = err == nil
	}
	return errors.Join(a.printRolledBack(doc), err)
}

func (a *app) printRolledBack(doc rolledBack) error {
	if a.json {
		return a.document(doc)
	}
	var b strings.Builder
	writeResult(&b, doc.Result)
	verb := "restored"
	if doc.DryRun {
		verb = "would restore"
	}
	fmt.Fprintf(&b, "%s %d offsets of %d groups; %d were as before already\n", verb, doc.Offsets, doc.Groups, doc.Kept)
	return a.printf("%s", b.String())
}
