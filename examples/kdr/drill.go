package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/failover/drill/drilltest"
)

// drillFlags are the drill command's.
type drillFlags struct {
	chosen   []string
	list     bool
	maxRTO   time.Duration
	maxPause time.Duration
	maxRPO   int64
	lease    time.Duration

	scenarios []drill.Scenario
}

func newDrill(a *app) *cobra.Command {
	f := drillFlags{maxRPO: -1, lease: drilltest.DefaultLease}
	cmd := &cobra.Command{
		Use:   "drill [--scenario FILE | --scenario NAME]",
		Short: "Make a disaster on purpose, and measure what it costs",
		Long: `Make a disaster on purpose, inside this process: two Kafka clusters of three brokers
(a fake of Kafka, no service is needed), a mirror between, controllers, and applications
that produce numbered records and consume them in a group. Then something goes wrong, and
the log of whoever is active in the end is read and counted: what was lost, doubled,
reordered; how long nothing was acknowledged. No cluster of yours is touched.

Without --scenario every built-in one is drilled, one after the other; --list names them.
A scenario of your own is JSON, as --list --json prints the built-in ones; fields that
aren't known are refused, all faults are named at once:

  {
    "name": "primary_killed",
    "expect": "switch",                 who is active in the end: switch, stay, either
    "faults": [{"kind": "kill",         kill, blackhole, slow (with "latency"), flap ("every")
                "on": "primary",        primary, standby, mirror, register
                "brokers": [0],         0 to 2 (default the whole cluster)
                "after": "1s",          since all is steady; or since the switch closes,
                "from": "closing",      with "from"
                "for": "3s"}],          (default to the end)
    "planned": false, "after": "1s",    a switchover on command
    "max_rpo": 0,                       what controllers refuse to lose (default nothing is refused)
    "load": {"topics": ["drill"], "partitions": 3, "keys": 20, "rate": 500, "size": 100,
             "producers": 1, "consumers": 1, "group": "drill"},
    "settle": "1s", "timeout": "1m",
    "budgets": {"rto": "5s", "pause": "5s", "rpo_records": 0, what it may cost (default any time,
                "lost": 0, "duplicated": 0, "reordered": 0, "skipped": 0}   and nothing lost)
  }

Clients and controllers have a lease of 500ms, and a cluster is down when it doesn't
answer for about as long. With --lease both take as long as yours, and the built-in
scenarios take their time accordingly; your own do what their files say.

RTO counts from the first fault, or the command, to the first record that the standby
acknowledges. RPO is what the primary had acknowledged and the standby lacked when it
became active; producers that still have it replay it, and then nothing is lost.

With --json one scenario prints its evidence, several a document with all of them in
"drills". Exit code 1 where a budget or the expectation isn't met.`,
		Example: `  kdr drill
  kdr drill --scenario primary_killed --max-rto 5s --max-rpo 0
  kdr drill --scenario mine.json --json`,
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&f.chosen, "scenario", nil, "file with a scenario (JSON), or the name of a built-in one (repeatable; default every built-in one)")
	fs.BoolVar(&f.list, "list", false, "name the scenarios, drill nothing")
	addFlag(a, fs, &f.maxRTO, "max-rto", "duration", "", "fail where the standby acknowledges its first record later than this (default the scenario's)", units.ParseDuration)
	addFlag(a, fs, &f.maxPause, "max-pause", "duration", "", "fail where nothing is acknowledged for longer than this (default the scenario's)", units.ParseDuration)
	addFlag(a, fs, &f.maxRPO, "max-rpo", "int", "", "fail where the standby lacks more records than this when it becomes active (default the scenario's)", parseInt(0, math.MaxInt64))
	addFlag(a, fs, &f.lease, "lease", "duration", "500ms", "lease of clients and controllers", units.ParseDuration)
	cmd.RunE = a.run(0, func([]string) { f.check(a) }, func(ctx context.Context) error {
		if f.list {
			return a.listScenarios(f.scenarios)
		}
		return a.drill(ctx, f.scenarios, f.lease)
	})
	return cmd
}

// check reads the scenarios, and finds all that is wrong with them.
func (f *drillFlags) check(a *app) {
	const least = drilltest.DefaultLease / 5
	if f.lease < least {
		a.fault("--lease: want at least %v, got %v", least, f.lease)
	}
	if len(f.chosen) == 0 {
		for _, s := range drill.Scenarios() {
			f.chosen = append(f.chosen, s.Name)
		}
	}
	for _, chosen := range f.chosen {
		s, ok := drill.Find(chosen)
		s = s.Scaled(max(1, f.lease.Seconds()/drilltest.DefaultLease.Seconds()))
		if !ok {
			own := &app{}
			s = readScenario(own, chosen)
			for _, fault := range own.faults {
				a.fault("--scenario: %s", fault)
			}
		}
		f.scenarios = append(f.scenarios, s)
	}
	for i := range f.scenarios {
		f.budget(&f.scenarios[i].Budgets)
	}
}

// budget puts the flags in the place of a scenario's budgets.
func (f *drillFlags) budget(b *drill.Budgets) {
	if f.maxRTO > 0 {
		b.RTO = drill.Duration(f.maxRTO)
	}
	if f.maxPause > 0 {
		b.Pause = drill.Duration(f.maxPause)
	}
	if f.maxRPO >= 0 {
		b.RPORecords = &f.maxRPO
	}
}

// readScenario reads a file. All that is wrong with it is a fault.
func readScenario(a *app, path string) (s drill.Scenario) {
	raw, err := os.ReadFile(path) //nolint:gosec // it is the user's
	switch {
	case errors.Is(err, os.ErrNotExist) && !strings.ContainsAny(path, `/\.`):
		a.fault("%q is no built-in scenario (see --list), and no file", path)
		return s
	case err != nil:
		a.fault("%v", err)
		return s
	}
	decodeStrict(a, raw, &s)
	var invalid *drill.InvalidError
	if errors.As(s.Validate(), &invalid) {
		for _, err := range invalid.Errs {
			a.fault("%v", err)
		}
	}
	for i, fault := range s.Faults {
		if slices.ContainsFunc(fault.Brokers, func(b int) bool { return b >= drilltest.Brokers }) {
			a.fault("faults[%d].brokers: want 0 to %d", i, drilltest.Brokers-1)
		}
	}
	for i, fault := range a.faults {
		a.faults[i] = path + ": " + fault
	}
	return s
}

func (a *app) listScenarios(scenarios []drill.Scenario) error {
	if a.json {
		return a.document(scenarios)
	}
	rows := [][]string{{"SCENARIO", "EXPECTED", "WHAT HAPPENS"}}
	for _, s := range scenarios {
		rows = append(rows, []string{s.Name, string(s.Expect), s.About})
	}
	return a.table(rows)
}

// drills is the document of several drills.
type drills struct {
	Passed bool              `json:"passed"`
	Millis int64             `json:"duration_ms"`
	Drills []*drill.Evidence `json:"drills"`
	// NotDone are scenarios that couldn't be drilled, or weren't when the program was interrupted.
	NotDone []notDrilled `json:"not_done"`
}

type notDrilled struct {
	Scenario string `json:"scenario"`
	Error    string `json:"error"`
}

// drill drills scenarios one after the other. Those that cost too much don't keep it from the next.
func (a *app) drill(ctx context.Context, scenarios []drill.Scenario, lease time.Duration) error {
	began := time.Now()
	p := a.startProgress("drill")
	defer p.end()
	all := drills{Drills: []*drill.Evidence{}, NotDone: []notDrilled{}}
	var errs []error
	for i, s := range scenarios {
		p.set(amounts{extra: fmt.Sprintf("%s, %d of %d", s.Name, i+1, len(scenarios))})
		e, err := a.drillOne(ctx, s, lease)
		if err != nil {
			all.NotDone = append(all.NotDone, notDrilled{s.Name, oneLine(err.Error())})
			errs = append(errs, err)
			continue
		}
		all.Drills = append(all.Drills, e)
		errs = append(errs, e.Err())
		if !a.json && (len(scenarios) == 1 || !e.Passed) {
			errs = append(errs, a.printf("%s\n", e))
		}
	}
	p.end()
	err := errors.Join(errs...)
	all.Passed, all.Millis = err == nil, time.Since(began).Milliseconds()
	return errors.Join(a.printDrills(&all), err)
}

func (a *app) drillOne(ctx context.Context, s drill.Scenario, lease time.Duration) (*drill.Evidence, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("drill: %s: %w", s.Name, err)
	}
	o := drilltest.Options{Lease: lease}
	if a.verbose {
		o.Logger = a.log
	}
	e, err := drilltest.Drill(ctx, s, o)
	if err != nil {
		return nil, err
	}
	a.log.Info("drilled", "scenario", s.Name, "passed", e.Passed, "took", time.Duration(e.DurationMillis)*time.Millisecond)
	return e, nil
}

// printDrills prints the evidence of one drill, or what became of several.
func (a *app) printDrills(all *drills) error {
	several := len(all.Drills)+len(all.NotDone) > 1
	switch {
	case a.json && several:
		return a.document(all)
	case a.json && len(all.Drills) == 1:
		return a.document(all.Drills[0])
	case a.json || !several:
		return nil
	}
	rows := [][]string{{"SCENARIO", "PASSED", "ACTIVE", "RTO", "PAUSE", "RPO", "LOST", "DUPLICATED", "REORDERED", "SKIPPED"}}
	for _, e := range all.Drills {
		rows = append(rows, drillRow(e))
	}
	for _, n := range all.NotDone {
		rows = append(rows, []string{n.Scenario, "not done"})
	}
	return a.table(rows)
}

func drillRow(e *drill.Evidence) []string {
	millis := func(ms int64) string { return (time.Duration(ms) * time.Millisecond).String() }
	passed, active, rto, rpo := "yes", e.Active, "-", "-"
	if !e.Passed {
		passed = "NO"
	}
	if ms, switched := e.RTO[drill.PhaseFirstAck]; switched {
		rto, rpo = millis(ms), strconv.FormatInt(e.RPORecords, 10)
	}
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{e.Scenario, passed, orNone(active), rto, millis(e.PauseMillis), rpo, count(e.Lost), count(e.Doubled), count(e.Reordered), count(e.Skipped)}
}
