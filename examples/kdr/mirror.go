package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/mirror"
)

// mirrorFlags are the mirror command's.
type mirrorFlags struct {
	pair    pairFlags
	topics  topicFlags
	factor  int64
	writes  string
	policy  []string
	metrics string
	dryRun  bool
	retire  bool

	clusters         clustersFlag
	fromName, toName string

	cfg mirror.Config // what flags write directly
}

func newMirror(a *app) *cobra.Command {
	f := mirrorFlags{writes: string(mirror.WritesWithheld)}
	cmd := &cobra.Command{
		Use:   "mirror {--from HOST:PORT,… --to HOST:PORT,… | --clusters FILE --from-name NAME --to-name NAME}",
		Short: "Mirror a live cluster to a standby, offset for offset",
		Long: `Copy a live cluster's records to a standby at the same offsets, under the same
names or behind --prefix, and keep topic configs, ACLs, quotas and the committed
offsets of groups in step. Stopped anywhere, it goes on exactly when it is run
again. With --once it ends at the end offsets of its start.

What can't be done exactly isn't done: a partition whose topic was re-created,
truncated or written to by somebody else stops, and is named; the others go on.
A plan with conflicts is refused before the first effect (exit code 4).

With --clusters it mirrors the scope of a clusters file from one cluster to another,
and follows the scope's register: it copies only while the source is active and that
can be confirmed within the lease. When a switch leaves the source it stops, after all
of it is on the standby where the switch is planned, takes its flow back so that others
know, and ends; where the switch is given up it goes on. What the source has from the
time when it was the standby becomes its own first.
` + clustersHelp,
		Example: `  kdr mirror --from a:9092 --to b:9092 --dry-run
  kdr mirror --from a:9092 --to b:9092 --prefix A.
  kdr mirror --from a:9092 --to b:9092 --once --json
  kdr mirror --clusters clusters.json --from-name ams --to-name fra`,
	}
	f.register(a, cmd)
	cmd.RunE = a.run(0, func([]string) { f.check(a, cmd) }, func(ctx context.Context) error {
		if f.clusters.path != "" {
			return a.followMirror(ctx, &f)
		}
		if f.retire {
			return a.retireMirror(ctx, f.config(a))
		}
		return a.mirror(ctx, f.config(a), f.metrics, f.dryRun)
	})
	return cmd
}

func (f *mirrorFlags) register(a *app, cmd *cobra.Command) {
	fs := cmd.Flags()
	f.pair.register(fs)
	f.topics.register(fs)
	f.clusters.register(fs)
	fs.StringVar(&f.fromName, "from-name", "", "with --clusters: the source, by its name in the file")
	fs.StringVar(&f.toName, "to-name", "", "with --clusters: the standby")
	fs.StringVar(&f.cfg.Prefix, "prefix", "", "put this before the names of copies, such as A. for A.orders (default same names)")
	fs.StringVar(&f.cfg.Name, "name", "mirror", "the flow's name: mirrors of the same clusters that run side by side need different ones")
	fs.BoolVar(&f.cfg.Once, "once", false, "end at the end offsets of the start")
	addFlag(a, fs, &f.factor, "replication-factor", "int", "", "that of topics to create (default the source's)", parseInt(1, math.MaxInt16))
	addFlag(a, fs, &f.cfg.MaxBytesPerSecond, "rate", "size", "", "read at most so much a second, such as 50MiB (default no bound)", units.ParseRate)
	addFlag(a, fs, &f.cfg.MemoryBytes, "memory", "size", "64MiB", "bound the batches in memory", units.ParseSize)
	addFlag(a, fs, &f.cfg.Discover, "discover", "duration", "5s", "from one look for new topics to the next", units.ParseDuration)
	addFlag(a, fs, &f.cfg.GroupInterval, "group-interval", "duration", "5s", "from one look at committed offsets to the next", units.ParseDuration)
	addFlag(a, fs, &f.cfg.Heartbeat, "heartbeat", "duration", "none", "write a record to a topic of its own at the source so often, to measure the way through", units.ParseDuration)
	fs.BoolVar(&f.cfg.SkipGroups, "skip-groups", false, "leave committed offsets alone")
	fs.BoolVar(&f.cfg.SkipACLs, "skip-acls", false, "leave ACLs alone")
	fs.BoolVar(&f.cfg.SkipQuotas, "skip-quotas", false, "leave quotas alone")
	fs.StringVar(&f.writes, "writes", f.writes, "what becomes of rights to write to copies: withheld or carried")
	fs.StringArrayVar(&f.policy, "policy", nil, "what to do at an event, KIND=POLICY (repeatable; default stop the partition, keep what was deleted): overtaken=go_on, topic_recreated=recreate, standby_deleted=go_on, topic_deleted=delete, group_deleted=delete, group_diverged=overwrite, or =retry to look again every half minute")
	fs.StringVar(&f.metrics, "metrics", "", "serve Prometheus metrics and /healthz, 503 while partitions are stopped, on HOST:PORT")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the plan, change nothing")
	fs.BoolVar(&f.retire, "retire", false, "mirror nothing: take back what this flow, stopped for good, has announced on the standby, so that a mirror of the other way may start")
	cmd.MarkFlagsMutuallyExclusive("retire", "dry-run")
	cmd.MarkFlagsMutuallyExclusive("retire", "once")
}

func (f *mirrorFlags) check(a *app, cmd *cobra.Command) {
	if f.clusters.path != "" {
		f.checkClusters(a, cmd)
	} else {
		if f.fromName != "" || f.toName != "" {
			a.fault("--from-name and --to-name need --clusters")
		}
		f.pair.check(a)
	}
	f.topics.check(a)
	checkAddress(a, "--metrics", f.metrics)
	f.cfg.Policies = make(mirror.Policies)
	for _, text := range f.policy {
		kind, policy, ok := strings.Cut(text, "=")
		if !ok {
			a.fault("--policy: want KIND=POLICY, got %q", text)
			continue
		}
		f.cfg.Policies[mirror.EventKind(kind)] = mirror.Policy(policy)
	}
	probe := f.cfg // all but the clusters' own options, which need a log
	some := []kgo.Opt{kgo.SeedBrokers("localhost")}
	probe.Source, probe.Target, probe.Writes = some, some, mirror.Writes(f.writes)
	var faults *mirror.ConfigError
	if _, err := mirror.New(probe); errors.As(err, &faults) {
		for _, fault := range faults.Errs {
			a.fault("%s", byFlag(fault.Error()))
		}
	}
}

// byFlag says a fault of the configuration with the flag's name.
func byFlag(fault string) string {
	for field, flag := range map[string]string{"Prefix": "--prefix", "Name": "--name", "Writes": "--writes", "Policies:": "--policy:", "MemoryBytes": "--memory"} {
		if rest, ok := strings.CutPrefix(fault, field+" "); ok {
			return flag + " " + rest
		}
	}
	return fault
}

func (f *mirrorFlags) config(a *app) mirror.Config {
	cfg := f.cfg
	cfg.Source, cfg.Target = f.pair.opts(a)
	cfg.Topics, cfg.Exclude = f.topics.topics, f.topics.exclude
	cfg.ReplicationFactor = int16(f.factor) //nolint:gosec // the flag's bounds
	cfg.Writes = mirror.Writes(f.writes)
	cfg.ClientID, cfg.Rack = f.pair.from.config.ClientID, f.pair.from.config.Rack
	cfg.Logger = a.log
	return cfg
}

// mirrored is a mirror's document.
type mirrored struct {
	Plan   *mirror.Plan `json:"plan,omitempty"`
	DryRun bool         `json:"dry_run"`
	Once   bool         `json:"once"`
	*mirrorDone
}

type mirrorDone struct {
	Records    int64                      `json:"records"`
	Bytes      int64                      `json:"bytes"`
	LagRecords int64                      `json:"lag_records"`
	LagMillis  int64                      `json:"lag_ms"`
	Millis     int64                      `json:"duration_ms"`
	RPO        mirror.RPO                 `json:"rpo"`
	Topics     []mirrorTopic              `json:"topics"`
	LeftOut    map[string]string          `json:"left_out,omitempty"`
	Events     map[mirror.EventKind]int64 `json:"events,omitempty"`
	Recent     []mirror.Event             `json:"recent,omitempty"`
}

type mirrorTopic struct {
	Source string `json:"source"`
	Target string `json:"target"`
	mirror.Totals
}

func mirrorDoneOf(s mirror.Status) *mirrorDone {
	d := &mirrorDone{
		Records: s.Records, Bytes: s.Bytes, LagRecords: s.LagRecords, LagMillis: s.LagMillis, Millis: int64(s.Seconds * 1000),
		RPO: s.RPO, Topics: []mirrorTopic{}, LeftOut: s.LeftOut, Events: s.Events, Recent: s.Recent,
	}
	for _, t := range s.Topics {
		d.Topics = append(d.Topics, mirrorTopic{t.Source, t.Target, t.Totals})
	}
	return d
}

// checkClusters checks what --clusters needs, and that nothing else says it otherwise.
func (f *mirrorFlags) checkClusters(a *app, cmd *cobra.Command) {
	f.clusters.check(a)
	for _, name := range []string{"from", "to", "kafka-config", "from-kafka-config", "to-kafka-config", "topics", "exclude", "prefix", "name", "skip-groups", "once", "retire"} {
		if cmd.Flags().Changed(name) {
			a.fault("--%s: --clusters says that", name)
		}
	}
	f.clusters.file.checkCluster(a, "--from-name", f.fromName)
	f.clusters.file.checkCluster(a, "--to-name", f.toName)
	switch {
	case f.fromName == "" || f.toName == "":
		a.fault("--clusters needs --from-name and --to-name")
	case f.fromName == f.toName:
		a.fault("--from-name and --to-name are the same")
	}
	if !cmd.Flags().Changed("group-interval") {
		f.cfg.GroupInterval = time.Second // a planned switch waits for it
	}
}

// followMirror mirrors between clusters of a file for as long as the register says so.
func (a *app) followMirror(ctx context.Context, f *mirrorFlags) error {
	file := &f.clusters.file
	s, done, err := file.open(ctx, a, reading)
	if err != nil {
		return err
	}
	defer done()
	cfg := f.cfg
	cfg.Name, cfg.SkipGroups, cfg.Topics, cfg.Exclude = file.Flow.Name, file.Flow.SkipGroups, file.Topics, file.Exclude
	cfg.Source, cfg.Target = s.mirror.opts(f.fromName), s.mirror.opts(f.toName)
	cfg.ReplicationFactor, cfg.Writes = int16(f.factor), mirror.Writes(f.writes) //nolint:gosec // the flag's bounds
	from := file.find(f.fromName).flags.config
	cfg.ClientID, cfg.Rack, cfg.Logger = from.ClientID, from.Rack, a.log
	if f.dryRun {
		return a.planMirror(ctx, cfg)
	}
	p := a.startProgress("mirror")
	defer p.end()
	cfg.Hooks = a.mirrorHooks(p)
	m := &mirrorFollower{s: s, from: f.fromName, to: f.toName, config: cfg}
	err = a.serveMetrics(ctx, f.metrics, mirrorHandler(m), func() error { return m.follow(ctx) })
	p.end()
	if st := m.Status(); st.SourceCluster != "" {
		err = errors.Join(err, a.printMirrored(cfg, st))
	}
	if err == nil && !a.json {
		err = a.printf("%s is active since epoch %d: the mirror from %s has ended\n", m.last.Active, m.last.Number, f.fromName)
	}
	return err
}

func (a *app) mirrorHooks(p *progress) mirror.Hooks {
	return mirror.Hooks{
		OnRetry:    func(op string, err error) { a.log.Debug("trying again", "op", op, "err", err) },
		OnTopic:    func(source, target string) { a.log.Info("mirroring", "topic", source, "copy", target) },
		OnProgress: func(s mirror.Status) { p.set(mirrorAmounts(s)) },
	}
}

// mirror plans and mirrors. metrics is where to serve them, if anywhere.
func (a *app) mirror(ctx context.Context, cfg mirror.Config, metrics string, dryRun bool) error {
	if dryRun {
		return a.planMirror(ctx, cfg)
	}
	p := a.startProgress("mirror")
	defer p.end()
	cfg.Hooks = a.mirrorHooks(p)
	m, err := mirror.New(cfg)
	if err != nil {
		return err
	}
	err = a.serveMetrics(ctx, metrics, mirrorHandler(m), func() error { return a.runMirror(ctx, m, commitWithin) })
	p.end()
	var refused *mirror.RefusedError
	s := m.Status()
	begun := s.SourceCluster != "" && (err == nil || ctx.Err() != nil || len(s.Topics) > 0)
	if errors.As(err, &refused) || !begun {
		return err
	}
	return errors.Join(err, a.printMirrored(cfg, s))
}

// runMirror runs a mirror; when ctx ends it is stopped in the clean way, or hard where that takes
// too long.
func (a *app) runMirror(ctx context.Context, m *mirror.Mirror, within time.Duration) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- m.Run(running) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stopping, done := context.WithTimeout(running, within)
	defer done()
	err := m.Stop(stopping)
	cancel()
	return errors.Join(err, ignoreCanceled(<-ended), context.Cause(ctx))
}

// mirrorAmounts say how far a mirror is, and what holds it up.
func mirrorAmounts(s mirror.Status) amounts {
	extra := []string{fmt.Sprintf("%d topics, %d partitions", len(s.Topics), s.Partitions)}
	if s.LagRecords > 0 {
		extra = append(extra, fmt.Sprintf("%d records, %s behind", s.LagRecords, time.Duration(s.LagMillis)*time.Millisecond))
	}
	if s.LSOLag > 0 {
		extra = append(extra, fmt.Sprintf("open transactions hold %d offsets back", s.LSOLag))
	}
	if s.Stopped > 0 {
		extra = append(extra, fmt.Sprintf("%d partitions have stopped", s.Stopped))
	}
	return amounts{records: s.Records, bytes: s.Bytes, extra: strings.Join(extra, ", ")}
}

// retireMirror takes a flow's announcement back.
func (a *app) retireMirror(ctx context.Context, cfg mirror.Config) error {
	if err := mirror.Retire(ctx, cfg); err != nil {
		return err
	}
	if a.json {
		return a.document(map[string]any{"retired": cfg.Name})
	}
	return a.printf("flow %s is retired: its copies stay, and stay known as copies\n", cfg.Name)
}

func (a *app) planMirror(ctx context.Context, cfg mirror.Config) error {
	plan, err := mirror.NewPlan(ctx, cfg)
	if err != nil {
		return err
	}
	if a.json {
		err = a.document(mirrored{Plan: plan, DryRun: true, Once: cfg.Once})
	} else {
		err = a.printf("%s", plan.String())
	}
	if err == nil && len(plan.Conflicts) > 0 {
		err = &mirror.RefusedError{Job: "mirror", Conflicts: plan.Conflicts}
	}
	return err
}

func (a *app) printMirrored(cfg mirror.Config, s mirror.Status) error {
	if a.json {
		return a.document(mirrored{Once: cfg.Once, mirrorDone: mirrorDoneOf(s)})
	}
	if err := a.printf("mirrored %d records, %s of %d topics, in %s; %d records behind\n",
		s.Records, units.Size(s.Bytes), len(s.Topics), time.Duration(s.Seconds*float64(time.Second)).Round(time.Millisecond), s.LagRecords); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.LeftOut)) {
		if err := a.printf("left out: %s: %s\n", name, s.LeftOut[name]); err != nil {
			return err
		}
	}
	for _, t := range s.Topics {
		for _, p := range t.Detail {
			if p.State == mirror.Stopped && p.Event != nil {
				if err := a.printf("stopped: %s\n", p.Event); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
