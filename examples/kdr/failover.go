package main

import (
	"cmp"
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/failover/control"
)

// failoverFlags are the failover and failback commands'.
type failoverFlags struct {
	clusters clustersFlag
	to       string
	reason   string
	planned  bool
	dryRun   bool

	maxRPO       int64
	maxRPOAge    time.Duration
	allowUnknown bool

	tail       storeFlags
	ignoreTail bool

	prepare, deleteForked bool
}

func newFailover(a *app) *cobra.Command {
	f := failoverFlags{maxRPO: -1}
	cmd := &cobra.Command{
		Use:   "failover --clusters FILE --to NAME",
		Short: "Switch to another cluster, and say what that took and what is lost",
		Long: `Print the plan of a switch, carry it out, and print the report: the time by step
(RTO), and the records that the standby lacks (RPO).

A switch is forced, unless --planned says that the active cluster lives and is to
be drained first; then nothing is lost, or the switch is given up. A plan with
conflicts is refused, nothing is changed, and the exit code is 4. A switch that
stopped in the middle is finished by running it again, and given up by a switch
back to where it came from.

The mirror between the clusters is kdr mirror --clusters, in a process of its own.
It sees the switch in the register, stops, and takes its flow back, for which the
switch waits. Where it is dead that is found out by its silence: lease/5, plus the
lease but at most 8s, plus 1s, in which nothing was appended. A planned switch waits for
it until the lease is over, even where a fence is confirmed.

What the standby lacks is measured by looking at both clusters. Where the active one
is away that isn't known, unless a controller (of the same process) has looked before:
with a budget such a switch is refused, unless --allow-unknown-rpo says otherwise.

Rights to write that a mirror withheld aren't given by a switch: with an authorizer run
it with --writes carried. A fence's "except" has to name the mirror's principal, which
copies to the fenced cluster on the way back.
` + clustersHelp,
		Example: `  kdr failover --clusters clusters.json --to fra --dry-run
  kdr failover --clusters clusters.json --to fra --max-rpo 1000 --reason "ams is on fire"
  kdr failover --clusters clusters.json --to fra --planned`,
	}
	f.register(a, cmd)
	fs := cmd.Flags()
	fs.BoolVar(&f.planned, "planned", false, "the active cluster lives: drain it first, lose nothing")
	addFlag(a, fs, &f.maxRPO, "max-rpo", "int", "", "refuse where the standby lacks more records than this (default the file's budget)", parseInt(0, math.MaxInt64))
	addFlag(a, fs, &f.maxRPOAge, "max-rpo-age", "duration", "", "refuse where the oldest record that the standby lacks is older than this (default the file's budget)", units.ParseDuration)
	fs.BoolVar(&f.allowUnknown, "allow-unknown-rpo", false, "go on where it isn't known what the standby lacks")
	cmd.RunE = a.run(0, func([]string) {
		if f.check(a); f.to == "" {
			a.fault("--to is required: the cluster to go to")
		}
		if f.planned && (cmd.Flags().Changed("max-rpo") || cmd.Flags().Changed("max-rpo-age") || f.allowUnknown) {
			a.fault("--planned loses nothing: --max-rpo, --max-rpo-age and --allow-unknown-rpo mean nothing to it")
		}
	}, func(ctx context.Context) error { return a.failover(ctx, &f) })
	return cmd
}

func newFailback(a *app) *cobra.Command {
	f := failoverFlags{planned: true, maxRPO: -1}
	cmd := &cobra.Command{
		Use:   "failback --clusters FILE",
		Short: "Switch back to the first cluster, in steps, with nothing lost",
		Long: `Switch back to the first cluster of the file, or to --to, as a planned switch.

After a planned failover the way back is: run the mirror the other way (kdr mirror
--clusters FILE --from-name fra --to-name ams) until it has caught up, then failback.

A cluster that was left by force may have a tail: records beyond the fork that the
other one never got. So there is a step before:

  kdr failback --clusters FILE --save-tail DIR --prepare [--delete-forked]

writes the tail to DIR, or a store's URL, as kdr cat prints records, a line each:
tail/SCOPE/EPOCH/TOPIC/PARTITION.ndjson, and saved.json last. A log can't be cut back,
so the topics that have a tail must be deleted on the cluster before the mirror can
follow: --delete-forked does that, once the tail is saved; without it they are named.
Then mirror, then failback with the same --save-tail, or with --ignore-tail, which
lets the tail go.
` + clustersHelp,
		Example: `  kdr failback --clusters clusters.json --dry-run
  kdr failback --clusters clusters.json --save-tail /srv/tail --prepare --delete-forked
  kdr failback --clusters clusters.json --save-tail /srv/tail`,
	}
	f.register(a, cmd)
	fs := cmd.Flags()
	fs.BoolVar(&f.prepare, "prepare", false, "switch nothing: save the tail, and name the topics that are in the way of the mirror back")
	fs.BoolVar(&f.deleteForked, "delete-forked", false, "with --prepare: delete the topics whose tail is saved, on the cluster that was left")
	cmd.RunE = a.run(0, func([]string) {
		f.check(a)
		if f.to == "" && len(f.clusters.file.Clusters) > 0 && f.clusters.file.Clusters[0] != nil {
			f.to = f.clusters.file.Clusters[0].Name
		}
		switch {
		case f.prepare && f.tail.at == nil && len(a.faults) == 0:
			a.fault("--prepare needs --save-tail: where the tail goes")
		case f.deleteForked && !f.prepare:
			a.fault("--delete-forked needs --prepare")
		}
	}, func(ctx context.Context) error {
		if f.prepare {
			return a.prepareFailback(ctx, &f)
		}
		return a.failover(ctx, &f)
	})
	return cmd
}

func (f *failoverFlags) register(_ *app, cmd *cobra.Command) {
	fs := cmd.Flags()
	f.clusters.register(fs)
	fs.StringVar(&f.to, "to", "", "the cluster to go to, by its name in the file")
	fs.StringVar(&f.reason, "reason", "", "why, for the register's history and the report")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the plan, change nothing")
	fs.StringVar(&f.tail.url, "save-tail", "", "keep what the target has beyond the fork at which it was left, in a directory or a store's URL")
	fs.BoolVar(&f.ignoreTail, "ignore-tail", false, "let go what the target has beyond the fork at which it was left")
}

func (f *failoverFlags) check(a *app) {
	f.clusters.check(a)
	f.clusters.file.checkCluster(a, "--to", f.to)
	if f.tail.url != "" && f.ignoreTail {
		a.fault("--save-tail and --ignore-tail exclude each other")
	}
	if f.tail.url != "" {
		checkTailStore(a, &f.tail)
	}
	if len(f.reason) > 4096 {
		a.fault("--reason: at most 4096 bytes")
	}
}

// checkTailStore takes a directory for a file URL.
func checkTailStore(a *app, s *storeFlags) {
	if !strings.Contains(s.url, "://") {
		dir, err := filepath.Abs(s.url)
		if err != nil {
			a.fault("--save-tail: %v", err)
			return
		}
		s.url = "file://" + filepath.ToSlash(dir)
	}
	own := &app{}
	s.check(own)
	for _, fault := range own.faults {
		a.fault("%s", strings.Replace(fault, "--store", "--save-tail", 1))
	}
}

// budget is the file's, as the flags change it, each its own bound.
func (f *failoverFlags) budget(of *control.Budget) *control.Budget {
	if f.maxRPO < 0 && f.maxRPOAge == 0 {
		if of != nil && f.allowUnknown {
			of.AllowUnknown = true
		}
		return of
	}
	b := cmp.Or(of, &control.Budget{})
	b.AllowUnknown = b.AllowUnknown || f.allowUnknown
	b.Age = cmp.Or(f.maxRPOAge, b.Age)
	if f.maxRPO >= 0 {
		b.Records = f.maxRPO
	}
	if f.maxRPO == 0 {
		b.Age = 0 // nothing may be missing, whatever its age
	}
	return b
}

// config is the controller's for one switch.
func (f *failoverFlags) config(s *switching) control.Config {
	cfg := s.config()
	cfg.Reason, cfg.Switch.IgnoreTail = f.reason, f.ignoreTail
	cfg.Switch.Budget = f.budget(cfg.Switch.Budget)
	if f.tail.at != nil {
		cfg.Switch.Tail = &tailSaver{s: s, store: &f.tail}
	}
	return cfg
}

func (f *failoverFlags) how() control.How {
	if f.planned {
		return control.Switchover
	}
	return control.Failover
}

// switched is a switch's document.
type switched struct {
	Plan   *control.Plan   `json:"plan"`
	DryRun bool            `json:"dry_run"`
	Report *control.Report `json:"report,omitempty"`
}

// failover plans, prints, and switches.
func (a *app) failover(ctx context.Context, f *failoverFlags) error {
	how := existing
	if f.dryRun {
		how = reading
	}
	s, done, err := f.clusters.file.open(ctx, a, how)
	if err != nil {
		return err
	}
	defer done()
	c, err := control.New(f.config(s))
	if err != nil {
		return err
	}
	p, err := c.Plan(ctx, f.to, f.how())
	if err != nil {
		return err
	}
	admitPlanned(p)
	if f.dryRun || len(p.Conflicts) > 0 {
		return errors.Join(a.printSwitched(switched{Plan: p, DryRun: f.dryRun}), refusedPlan(p))
	}
	if !a.json {
		if err := a.printf("%s\n", p); err != nil {
			return err
		}
	}
	r, err := p.Run(ctx)
	if err != nil && r.End == control.EndRefused && ctx.Err() == nil {
		err = &refusedError{text: err.Error()}
	}
	return errors.Join(a.printSwitched(switched{Plan: p, Report: r}), err)
}

// admitPlanned refuses a planned switch that the mirror couldn't drain, before anybody is stopped
// for it. One that is under way has stopped them, and the mirror may be done.
func admitPlanned(p *control.Plan) {
	if p.How != control.Switchover || p.Resumes != nil || len(p.Conflicts) > 0 {
		return
	}
	conflict := func(kind control.ConflictKind, detail string) {
		p.Conflicts = append(p.Conflicts, control.Conflict{Kind: kind, Partition: -1, Offset: -1, Detail: detail})
	}
	switch {
	case p.Lag == nil || p.Lag.At.IsZero():
		conflict(control.ConflictReplication, "no mirror from "+p.From+" to "+p.To+" is announced, or it can't be looked at: kdr mirror --clusters")
	case p.Lag.Unknown > 0:
		conflict(control.ConflictLagUnknown, "not every partition is mirrored from "+p.From+" to "+p.To+": kdr status --clusters names them")
	}
}

func refusedPlan(p *control.Plan) error {
	if len(p.Conflicts) == 0 {
		return nil
	}
	return &control.RefusedError{Job: "failover", Conflicts: p.Conflicts}
}

func (a *app) printSwitched(d switched) error {
	if a.json {
		return a.document(d)
	}
	if d.Report != nil {
		return a.printf("%s", d.Report)
	}
	return a.printf("%s", d.Plan)
}
