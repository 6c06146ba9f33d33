package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/storage"
)

// restoreFlags are the restore command's.
type restoreFlags struct {
	cluster         clusterFlags
	store           storeFlags
	topics          topicFlags
	snapshot        string
	sourceCluster   string
	offsets         string
	factor          int64
	rollbackFile    string
	dryRun, release bool
	cfg             restore.Config // what flags write directly
}

func newRestore(a *app) *cobra.Command {
	f := restoreFlags{offsets: "exact"}
	cmd := &cobra.Command{
		Use:   "restore --store URL --brokers HOST:PORT,…",
		Short: "Restore a snapshot onto a cluster, every record at its offset",
		Long: `Plan a restore, then carry it out: every record gets the offset it had. Run it
again after a crash, and it goes on where it was. A plan with conflicts is
refused before the first effect (exit code 4). Where restored records would
expire at once, retention and other policies are held back; --release gives
them back once consumers have what they need.

With --offsets translated the records are appended to whatever the topics hold,
also while others write to them, and kdr translate says where each offset went.`,
		Example: `  kdr restore --store file:///backups/main --brokers new:9092 --groups --dry-run
  kdr restore --store file:///backups/main --brokers new:9092 --groups
  kdr restore --store file:///backups/main --brokers new:9092 --release`,
	}
	f.register(a, cmd)
	cmd.RunE = a.run(0, func([]string) { f.check(a, cmd) }, func(ctx context.Context) error {
		arch, done, err := f.store.open(ctx, a, reading, storage.Hooks{})
		if err != nil {
			return err
		}
		defer done()
		cfg := f.config(a)
		if cfg.Snapshot, err = openSnapshot(ctx, arch, f.snapshot, f.sourceCluster); err != nil {
			return err
		}
		if f.release {
			return a.release(ctx, cfg)
		}
		return a.restore(ctx, cfg, f.dryRun)
	})
	return cmd
}

func (f *restoreFlags) register(a *app, cmd *cobra.Command) {
	fs := cmd.Flags()
	f.cluster.register(fs, "to")
	f.store.register(fs)
	f.topics.register(fs)
	registerSnapshot(fs, &f.snapshot)
	registerCluster(fs, &f.sourceCluster)
	addFlag(a, fs, &f.cfg.Until, "until", "time", "", "keep only records with a timestamp at or before this", units.ParseTime)
	fs.StringVar(&f.cfg.Prefix, "prefix", "", "put this before all topic names")
	addRename(a, fs, &f.cfg.Rename)
	fs.BoolVar(&f.cfg.Groups, "groups", false, "restore the committed offsets of consumer groups")
	fs.BoolVar(&f.cfg.RestoreAbsent, "restore-absent", false, "with --groups: those, too, that the source had lost when the snapshot was taken")
	fs.StringVar(&f.rollbackFile, "rollback-file", "", "with --groups: a file for what groups had committed before, for kdr groups rollback (default none)")
	fs.BoolVar(&f.cfg.ACLs, "acls", false, "restore access control entries")
	fs.StringVar(&f.offsets, "offsets", f.offsets, "exact: the source's; translated: append to what the topics hold, and map them")
	fs.StringVar(&f.cfg.SourceAlias, "source-alias", "", "note this name for the source with the maps of translated offsets, for kdr translate --source")
	addFlag(a, fs, &f.factor, "replication-factor", "int", "", "the topics' replication factor (default their own)", parseInt(1, math.MaxInt16))
	addFlag(a, fs, &f.cfg.MaxBytesPerSecond, "rate", "size", "", "write at most so much a second, such as 50MiB (default no bound)", units.ParseRate)
	addFlag(a, fs, &f.cfg.MaxHoleTime, "max-hole-time", "duration", "1h", "refuse if holes would take longer, by the plan's estimate", units.ParseDuration)
	fs.BoolVar(&f.cfg.VerifyFirst, "verify-first", false, "read and check all data before the first effect")
	fs.BoolVar(&f.cfg.VerifyTarget, "verify-target", false, "compare all that the target already holds, not only samples of it")
	fs.BoolVar(&f.cfg.AllowIncomplete, "allow-incomplete", false, "restore a snapshot that is incomplete")
	fs.BoolVar(&f.cfg.SkipDamaged, "skip-damaged", false, "restore what is left where segments are lost or damaged; what they held becomes holes, which are named")
	fs.BoolVar(&f.cfg.SameCluster, "same-cluster", false, "allow the source cluster as target")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the plan, change nothing")
	fs.BoolVar(&f.release, "release", false, "give held retention and other policies back, restore nothing")
}

// restoring are the flags that mean nothing to --release.
var restoring = []string{
	"until", "groups", "restore-absent", "rollback-file", "acls", "source-alias", "replication-factor", "rate", "max-hole-time",
	"verify-first", "verify-target", "allow-incomplete", "skip-damaged", "same-cluster", "dry-run",
}

func (f *restoreFlags) check(a *app, cmd *cobra.Command) {
	f.cluster.check(a)
	f.store.check(a)
	f.topics.check(a)
	switch f.offsets {
	case restore.Exact.String():
	case restore.Translated.String():
		f.cfg.Offsets = restore.Translated
	default:
		a.fault("--offsets: want exact or translated, got %q", f.offsets)
	}
	for _, name := range []string{"restore-absent", "rollback-file"} {
		if cmd.Flags().Changed(name) && !f.cfg.Groups {
			a.fault("--%s means nothing without --groups", name)
		}
	}
	if f.cfg.SourceAlias != "" && f.cfg.Offsets != restore.Translated {
		a.fault("--source-alias means nothing without --offsets translated")
	}
	if f.cfg.Prefix != "" && len(f.cfg.Rename) > 0 {
		a.fault("--prefix and --rename exclude each other")
	}
	for _, name := range restoring {
		if f.release && cmd.Flags().Changed(name) {
			a.fault("--%s means nothing with --release", name)
		}
	}
}

func (f *restoreFlags) config(a *app) restore.Config {
	cfg := f.cfg
	cfg.Target = f.cluster.opts(a)
	cfg.Topics, cfg.Exclude = f.topics.topics, f.topics.exclude
	cfg.ReplicationFactor = int16(f.factor) //nolint:gosec // the flag's bounds
	cfg.ClientID = f.cluster.config.ClientID
	cfg.Logger = a.log
	if f.rollbackFile != "" {
		cfg.SaveGroups = func(b *offsets.Before) error { return saveBefore(f.rollbackFile, b) }
	}
	return cfg
}

// restored is a restore's document: the plan, then what was done.
type restored struct {
	Plan   *restore.Plan `json:"plan"`
	DryRun bool          `json:"dry_run"`
	*done
}

type done struct {
	Records       int64                        `json:"records"`
	Bytes         int64                        `json:"bytes"`
	Millis        int64                        `json:"duration_ms"`
	Groups        int                          `json:"groups"`
	GroupsClamped []restore.GroupPlan          `json:"groups_clamped"`
	Held          map[string]map[string]string `json:"held"`
	Warnings      []string                     `json:"warnings"`
}

// restore plans, prints the plan, and carries it out.
func (a *app) restore(ctx context.Context, cfg restore.Config, dryRun bool) error {
	p := a.startProgress("restore")
	defer p.end()
	cfg.Hooks = restore.Hooks{
		OnProgress: func(s restore.Status) {
			p.set(amounts{s.Records, s.TotalRecords, s.Bytes, s.TotalBytes, fmt.Sprintf("%d/%d partitions", s.Partitions, s.TotalPartitions)})
		},
		OnRetry: func(op string, err error) { a.log.Debug("trying again", "op", op, "err", err) },
	}
	plan, err := restore.NewPlan(ctx, cfg)
	if err != nil {
		return err
	}
	if !a.json {
		if err := a.printPlan(plan); err != nil {
			return err
		}
	}
	if dryRun || len(plan.Conflicts) > 0 {
		return a.onlyPlan(plan, dryRun)
	}
	result, err := plan.Run(ctx)
	p.end()
	if err != nil {
		return err
	}
	return a.printRestored(plan, result)
}

// onlyPlan ends a restore that does nothing; a plan with conflicts is refused.
func (a *app) onlyPlan(plan *restore.Plan, dryRun bool) error {
	if a.json {
		if err := a.document(restored{Plan: plan, DryRun: dryRun}); err != nil {
			return err
		}
	}
	if len(plan.Conflicts) > 0 {
		return &restore.RefusedError{Job: "restore", Conflicts: plan.Conflicts}
	}
	return nil
}

func (a *app) printRestored(plan *restore.Plan, r *restore.Result) error {
	if a.json {
		return a.document(restored{plan, false, &done{
			r.Records, r.Bytes, r.Duration.Milliseconds(), r.Groups, list(r.GroupsClamped), r.Held, list(r.Warnings),
		}})
	}
	if err := a.printf("restored %d records, %s, %d groups, in %s\n", r.Records, units.Size(r.Bytes), r.Groups, r.Duration.Round(time.Millisecond)); err != nil {
		return err
	}
	if len(r.Held) > 0 {
		return a.printf("policies of %d topics are held back: give them back with kdr restore --release\n", len(r.Held))
	}
	return nil
}

// release gives held policies back.
func (a *app) release(ctx context.Context, cfg restore.Config) error {
	released, err := restore.Release(ctx, cfg)
	if err != nil {
		return err
	}
	if a.json {
		return a.document(released)
	}
	if err := a.printConfigs("released", released.Topics); err != nil || len(released.Missing) == 0 {
		return err
	}
	return a.printf("not on the target: %s\n", strings.Join(released.Missing, ", "))
}
