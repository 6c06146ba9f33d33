package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/probe"
)

// controllerFlags are the controller command's.
type controllerFlags struct {
	clusters clustersFlag
	manual   bool
	interval time.Duration
	both     bool // interval is that of probes, too
	metrics  string
}

func newController(a *app) *cobra.Command {
	f := controllerFlags{interval: time.Second}
	cmd := &cobra.Command{
		Use:   "controller --clusters FILE",
		Short: "Probe the clusters, and switch by itself when the active one is down",
		Long: `Probe the clusters of a file until interrupted. When the active one is down, the next
one is up, and the budget allows it, switch by force; with --manual only watch. What
another controller has begun and left is finished, or given up. Any number of
controllers may run: the register decides between them.

Down is a cluster of which no broker answers, in 3 of 5 looks, the last two among them,
unless the file's probe says otherwise. Credentials that are refused, a broker, a topic or
slowness are no disaster; a cluster of which the probes can't tell isn't switched to, either:
kdr status --clusters says what they see. What the standby lacks is measured every 5s, so
that it is known when the active cluster is gone. Without a budget in the file, a switch
goes on whatever is lost.

Each state, each switch's report and each refusal is printed: text, or with --json a
document a line with one of state, report, refused and rehearsal. A rehearsal is a plan
that is made every minute while all is well: what would be in the way of a switch, such
as credentials that the standby refuses, or topics that it lacks, is printed where it
changes, and counted in the metric kafkadr_failover_conflicts.
` + clustersHelp,
		Example: `  kdr controller --clusters clusters.json --metrics :9400
  kdr controller --clusters clusters.json --manual --json`,
	}
	fs := cmd.Flags()
	f.clusters.register(fs)
	fs.BoolVar(&f.manual, "manual", false, "never switch: watch, and say what would be in the way")
	addFlag(a, fs, &f.interval, "interval", "duration", "1s", "from one look at the register to the next, and where it is given from one probe of a cluster to the next (default the file's)", units.ParseDuration)
	fs.StringVar(&f.metrics, "metrics", "", "serve Prometheus metrics and /healthz, 503 unless the active cluster is up and the register answers, on HOST:PORT")
	cmd.RunE = a.run(0, func([]string) {
		f.clusters.check(a)
		f.both = fs.Changed("interval")
		checkAddress(a, "--metrics", f.metrics)
		if f.interval <= 0 {
			a.fault("--interval: want more than 0")
		}
	}, func(ctx context.Context) error { return a.control(ctx, &f) })
	return cmd
}

// control runs a controller.
func (a *app) control(ctx context.Context, f *controllerFlags) error {
	s, done, err := f.clusters.file.open(ctx, a, existing)
	if err != nil {
		return err
	}
	defer done()
	out := &controlPrinter{a: a}
	cfg := s.config()
	cfg.Manual, cfg.Interval = f.manual, f.interval
	if f.both {
		cfg.Health.Interval = f.interval
	}
	cfg.Hooks.OnState, cfg.Hooks.OnReport, cfg.Hooks.OnVeto, cfg.Hooks.OnRehearsal = out.state, out.report, out.veto, out.rehearsal
	c, err := control.New(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out.stop = cancel
	var watching sync.WaitGroup
	watching.Go(func() { s.watchLag(ctx, c) })
	defer watching.Wait()
	defer cancel(nil)
	return a.serveMetrics(ctx, f.metrics, controlHandler(c, s), func() error {
		err := c.Run(ctx)
		if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
			return cause
		}
		return err
	})
}

const lagEvery = 5 * time.Second

// watchLag measures what the standby lacks while the active cluster answers: when it is gone, that
// is what is known.
func (s *switching) watchLag(ctx context.Context, c *control.Controller) {
	for {
		st := c.Status()
		from, to := s.file.pair(st)
		if !st.Epoch.Closing() {
			within, cancel := context.WithTimeout(ctx, observeFor)
			if _, err := s.mirror.Lag(within, from, to); err != nil {
				s.a.log.Debug("what the standby lacks can't be measured", "from", from, "to", to, "err", err)
			}
			cancel()
		}
		wait := lagEvery
		if _, ok := s.mirror.known(from, to); !ok {
			wait = min(wait, time.Second)
		}
		if err := sleep(ctx, wait); err != nil {
			return
		}
	}
}

// controlPrinter prints what a controller does.
type controlPrinter struct {
	a    *app
	stop context.CancelCauseFunc
	// inTheWay is what the last rehearsal found; it is called by one goroutine.
	inTheWay []control.Conflict
	mu       sync.Mutex
}

func (p *controlPrinter) print(text string, doc map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.a.json {
		err = p.a.jsonLine(doc)
	} else {
		err = p.a.printf("%s", text)
	}
	if err != nil {
		p.stop(err)
	}
}

func (p *controlPrinter) state(s control.Status) {
	text := fmt.Sprintf("scope %s: %s", s.Scope, s.State)
	if s.Epoch.Number > 0 {
		text += fmt.Sprintf(" at epoch %d, %s active", s.Epoch.Number, orNone(s.Epoch.Active))
	}
	if s.Detail != "" {
		text += ": " + oneLine(s.Detail)
	}
	s.Epoch.Forks, s.Rehearsal, s.Report = nil, nil, nil // they are long, and printed where they are news
	p.print(text+"\n", map[string]any{"state": s})
}

func orNone(name string) string {
	if name == "" {
		return "none"
	}
	return name
}

func (p *controlPrinter) report(r *control.Report) { p.print(r.String(), map[string]any{"report": r}) }

func (p *controlPrinter) veto(err error) {
	text := oneLine(err.Error())
	p.print("refused: "+text+"\n", map[string]any{"refused": text})
}

// rehearsal prints what would be in the way of a switch, where that isn't what it was.
func (p *controlPrinter) rehearsal(plan *control.Plan) {
	if slices.Equal(p.inTheWay, plan.Conflicts) {
		return
	}
	p.inTheWay = plan.Conflicts
	text := fmt.Sprintf("nothing would be in the way of a switch to %s any more\n", plan.To)
	if len(plan.Conflicts) > 0 {
		text = fmt.Sprintf("in the way of a switch to %s would be: %s\n", plan.To, oneLine((&control.RefusedError{Job: "failover", Conflicts: plan.Conflicts}).Error()))
	}
	p.print(text, map[string]any{"rehearsal": map[string]any{"to": plan.To, "conflicts": plan.Conflicts}})
}

// controlHandler serves a controller's metrics; its health is that it follows an active cluster
// that is up.
func controlHandler(c *control.Controller, sw *switching) http.Handler {
	return metricsHandler(&controlMetrics{c: c, s: sw}, func() error {
		s := c.Status()
		switch {
		case s.RegisterError != "":
			return fmt.Errorf("the register doesn't answer: %s", s.RegisterError)
		case s.State != control.StateFollowing:
			return fmt.Errorf("%s: %s", s.State, s.Detail)
		}
		return nil
	})
}

// controlMetrics are a controller's, read from its status when somebody asks.
type controlMetrics struct {
	c *control.Controller
	s *switching
}

// Describe and Collect make it a prometheus.Collector.
func (m *controlMetrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect reads the status once.
func (m *controlMetrics) Collect(ch chan<- prometheus.Metric) {
	s := m.c.Status()
	from, to := m.s.file.pair(s)
	send := func(name, help string, kind prometheus.ValueType, v float64, labels ...string) {
		var names []string
		if len(labels) > 0 {
			names = []string{"cluster"}
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("kafkadr_failover_"+name, help, names, nil), kind, v, labels...)
	}
	one := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	send("epoch", "Number of the newest epoch that was seen.", prometheus.GaugeValue, float64(s.Epoch.Number))
	send("closed", "1 while a switch is under way.", prometheus.GaugeValue, one(s.Epoch.Closing()))
	send("switches_total", "Switches that this controller has carried out.", prometheus.CounterValue, float64(s.Switches))
	send("vetoes_total", "Switches that were refused or given up.", prometheus.CounterValue, float64(s.Vetoes))
	for _, cl := range s.Clusters {
		send("active", "1 for the active cluster.", prometheus.GaugeValue, one(cl.Cluster == from && !s.Epoch.Closing()), cl.Cluster)
		send("up", "1 for clusters that are up.", prometheus.GaugeValue, one(cl.State == probe.Healthy), cl.Cluster)
	}
	if s.Rehearsal != nil {
		send("conflicts", "What would be in the way of a switch, by the last rehearsal.", prometheus.GaugeValue, float64(len(s.Rehearsal.Conflicts)))
	}
	lag, ok := m.s.mirror.known(from, to)
	if ok {
		send("rpo_records", "Records that the standby lacked when that was last measured.", prometheus.GaugeValue, float64(lag.Records))
		send("rpo_unknown_partitions", "Partitions of which it isn't known.", prometheus.GaugeValue, float64(lag.Unknown))
		send("rpo_timestamp_seconds", "When that was measured, as Unix time.", prometheus.GaugeValue, unixSeconds(lag.At))
	}
}
