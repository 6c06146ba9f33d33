package failoverprom

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

type client failover.Status

func (c client) Status() failover.Status { return failover.Status(c) }

type controller control.Status

func (c controller) Status() control.Status { return control.Status(c) }

// base is when the statuses of the tests were taken: rules that compare with time() see an hour.
func base() time.Time { return time.Unix(0, 0).UTC().Add(time.Second) }

func well() (client, controller) {
	return client{Scope: "shop", State: failover.ClientActive, Epoch: 3, Cluster: "b", LeaseMillis: 9500},
		controller{
			Scope: "shop", State: control.StateFollowing, Epoch: register.Epoch{Number: 3, Active: "b"}, Read: base(), Rehearsal: &control.Plan{At: base()},
			Clusters: []probe.Status{{Cluster: "a", State: probe.Healthy}, {Cluster: "b", State: probe.Healthy}},
		}
}

// everything has a series of every metric.
func everything() (client, controller) {
	c, ctl := well()
	c.Unprotected = base()
	c.Last = &failover.ClientReport{Closed: base(), Ready: base().Add(time.Second), FirstAckMillis: 1200, InDoubt: 4, Replayed: 2, Redelivered: 1}
	return c, ctl
}

func gather(t *testing.T, cs ...prometheus.Collector) map[string]*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry() // holds that Describe and Collect agree
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*dto.MetricFamily)
	for _, f := range all {
		byName[f.GetName()] = f
	}
	return byName
}

// TestSeries holds values, that what isn't known has no series, and that names and help are as
// Prometheus wants them.
func TestSeries(t *testing.T) {
	c, ctl := everything()
	got := gather(t, Client(c), Controller(ctl))
	for name, want := range map[string]float64{
		"client_epoch": 3, "client_lease_seconds": 9.5, "client_unprotected_timestamp_seconds": 1, "client_switch_first_ack_seconds": 1.2,
		"client_switch_in_doubt_records": 4, "client_switch_replayed_records": 2, "epoch": 3, "closed": 0, "conflicts": 0, "rehearsal_timestamp_seconds": 1,
	} {
		f := got["kafkadr_failover_"+name]
		if f == nil || f.Metric[0].GetGauge().GetValue() != want {
			t.Errorf("%s: %v, want %v", name, f, want)
		}
	}
	for name, want := range map[string]int{"client_state": len(clientStates()), "controller_state": len(controllerStates()), "active": 2, "up": 2, "client_active": 1} {
		ones := 0
		for _, m := range got["kafkadr_failover_"+name].GetMetric() {
			ones += int(m.GetGauge().GetValue())
		}
		if n := len(got["kafkadr_failover_"+name].GetMetric()); n != want || ones != map[bool]int{false: 1, true: 2}[name == "up"] {
			t.Errorf("%s: %d series, want %d; %d of them are 1", name, n, want, ones)
		}
	}
	for _, c := range []prometheus.Collector{Client(c), Controller(ctl)} {
		problems, err := testutil.CollectAndLint(c)
		if err != nil || len(problems) > 0 {
			t.Error(problems, err)
		}
	}
	for name := range gather(t, Client(client{Scope: "shop", State: failover.ClientSwitching}), Controller(controller{Scope: "shop"})) {
		if strings.Contains(name, "client_switch_") || strings.HasSuffix(name, "timestamp_seconds") || strings.HasSuffix(name, "conflicts") || strings.HasSuffix(name, "client_active") {
			t.Errorf("%s of what isn't known", name)
		}
	}
}

func promtool(t *testing.T, args ...string) {
	t.Helper()
	bin, err := exec.LookPath("promtool")
	if err != nil {
		testkafka.Missing(t, "promtool", "apt-get install prometheus (Debian), brew install prometheus (macOS)")
	}
	testkafka.OtherProcesses(t)
	if out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestRules lets promtool check the rules and run rules_test.yml.
func TestRules(t *testing.T) {
	promtool(t, "check", "rules", "rules.yml")
	promtool(t, "test", "rules", "rules_test.yml")
}

// TestRulesKnowTheirMetrics holds that each metric and state that a rule names exists.
func TestRulesKnowTheirMetrics(t *testing.T) {
	c, ctl := everything()
	metrics := gather(t, Client(c), Controller(ctl))
	for _, name := range regexp.MustCompile(`kafkadr_failover_[a-z_]+`).FindAllString(Rules(), -1) {
		if metrics[name] == nil {
			t.Errorf("%s: no collector has such a metric", name)
		}
	}
	for _, m := range regexp.MustCompile(`(client|controller)_state\{state=~?"([^"]*)"`).FindAllStringSubmatch(Rules(), -1) {
		for v := range strings.SplitSeq(m[2], "|") {
			if m[1] == "client" && !slices.Contains(clientStates(), failover.State(v)) || m[1] == "controller" && !slices.Contains(controllerStates(), control.State(v)) {
				t.Errorf("%s: there is no such state", m[0])
			}
		}
	}
}

// TestRulesOfStatuses scrapes the real collectors, lets the series stand for an hour, and holds
// which alerts fire then: these and no others. Each alert fires for some status.
func TestRulesOfStatuses(t *testing.T) {
	all := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(Rules(), -1)
	fired := map[string]bool{}
	var file strings.Builder
	file.WriteString("rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n")
	for _, c := range []struct {
		name   string
		change func(*client, *controller)
		want   []string
	}{
		{"well", func(*client, *controller) {}, nil},
		{"fenced", func(c *client, _ *controller) { c.State = failover.ClientFenced }, []string{"KafkadrClientFenced"}},
		{"silent", func(c *client, _ *controller) { c.State = failover.ClientSilent }, []string{"KafkadrClientSilent"}},
		{"connecting", func(c *client, _ *controller) { c.State, c.Cluster = failover.ClientConnecting, "" }, []string{"KafkadrClientSilent"}},
		{"unprotected", func(c *client, _ *controller) { c.Unprotected = base() }, []string{"KafkadrClientUnprotected"}},
		{"blocked", func(c *client, _ *controller) { c.Blocked = 7 }, []string{"KafkadrClientBlocked"}},
		{"behind", func(c *client, _ *controller) { c.Epoch = 1 }, []string{"KafkadrClientBehind"}},
		{"ahead", func(c *client, _ *controller) { c.Epoch = 5 }, nil},
		{"closed", func(c *client, ctl *controller) {
			ctl.State, ctl.Epoch = control.StateClosed, register.Epoch{Number: 4, From: "b", Target: "a"}
			c.State, c.Epoch = failover.ClientSwitching, 4
		}, []string{"KafkadrSwitchTooLong"}},
		{"conflicts", func(_ *client, ctl *controller) { ctl.Rehearsal.Conflicts = []control.Conflict{{}} }, []string{"KafkadrRehearsalConflicts"}},
		{"vetoed", func(_ *client, ctl *controller) { ctl.State = control.StateVetoed }, []string{"KafkadrSwitchVetoed"}},
		{"register", func(_ *client, ctl *controller) { ctl.RegisterError = "timeout" }, []string{"KafkadrRegisterDown"}},
	} {
		status, ctl := well()
		c.change(&status, &ctl)
		fmt.Fprintf(&file, "  - name: %s\n    interval: 1m\n    input_series:\n", c.name)
		for name, f := range gather(t, Client(status), Controller(ctl)) {
			for _, m := range f.Metric {
				var labels []string
				for _, l := range m.Label {
					labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
				}
				fmt.Fprintf(&file, "      - series: '%s{%s}'\n        values: %gx60\n", name, strings.Join(labels, ","), m.GetGauge().GetValue()+m.GetCounter().GetValue())
			}
		}
		fmt.Fprintf(&file, "    promql_expr_test:\n      - expr: count by (alertname) (ALERTS{alertstate=\"firing\"})\n        eval_time: 1h\n        exp_samples:\n")
		for _, alert := range c.want {
			fired[alert] = true
			fmt.Fprintf(&file, "          - labels: '{alertname=%q}'\n            value: 1\n", alert)
		}
	}
	for _, m := range all {
		if !fired[m[1]] {
			t.Errorf("%s: no status has it fire", m[1])
		}
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"rules.yml": Rules(), "test.yml": file.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	promtool(t, "test", "rules", filepath.Join(dir, "test.yml"))
}
