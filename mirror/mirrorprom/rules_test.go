package mirrorprom

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/mirror"
)

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

// everything is a status that has a series of every metric.
func everything() *Collector {
	s := healthy()
	stop(&s, mirror.Overtaken, base())
	return New(&fixed{s}, Config{Backup: &fixedBackup{}})
}

// TestRulesKnowTheirMetrics holds that each metric, state and kind of event that a rule names
// exists.
func TestRulesKnowTheirMetrics(t *testing.T) {
	metrics := gather(t, everything())
	names := regexp.MustCompile(`kafkadr_[a-z_]+`).FindAllString(Rules(), -1)
	if len(names) < 15 {
		t.Fatalf("only %v are found", names)
	}
	for _, name := range names {
		if metrics[name] == nil {
			t.Errorf("%s: the collector has no such metric", name)
		}
	}
	for _, m := range regexp.MustCompile(`(kind|state)=~?"([^"]*)"`).FindAllStringSubmatch(Rules(), -1) {
		for v := range strings.SplitSeq(m[2], "|") {
			if m[1] == "kind" && !slices.Contains(kinds(), mirror.EventKind(v)) || m[1] == "state" && !slices.Contains(states(), mirror.State(v)) {
				t.Errorf("%s: no %s has that", m[0], m[1])
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?:ignoring|on|by) \(([a-z_]+)\)`).FindAllStringSubmatch(Rules(), -1) {
		if !slices.Contains([]string{"flow", "kind", "state"}, m[1]) {
			t.Errorf("%s: nothing has that label", m[0])
		}
	}
}

// alerts are the names of all alerts.
func alerts() []string {
	var names []string
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(Rules(), -1) {
		names = append(names, m[1])
	}
	return names
}

// hour is when statuses are judged: they have stood for an hour.
const hour = time.Hour

// TestRulesOfStatuses scrapes the real collector, lets the series stand for an hour, and holds
// which alerts fire then: these and no others.
func TestRulesOfStatuses(t *testing.T) {
	var f testFile
	fired := map[string]bool{"KafkadrMirrorGone": true} // rules_test.yml
	for _, c := range []struct {
		name   string
		change func(*mirror.Status, *backup.Status, *Config)
		want   []string
	}{
		{"healthy", func(*mirror.Status, *backup.Status, *Config) {}, nil},
		{"healthy, large", func(_ *mirror.Status, _ *backup.Status, c *Config) { c.MaxPartitions, c.MaxTopics = -1, -1 }, nil},
		{"healthy, without groups and heartbeats", func(s *mirror.Status, _ *backup.Status, _ *Config) {
			s.Heartbeat, s.Groups = mirror.HeartbeatStatus{LatencyMillis: -1, AgeMillis: -1}, mirror.GroupStatus{AgeMillis: -1}
		}, nil},
		{"behind", behind, []string{"KafkadrMirrorLag"}},
		{"behind, large", func(s *mirror.Status, b *backup.Status, c *Config) {
			behind(s, b, c)
			c.MaxPartitions, c.MaxTopics = -1, -1
		}, []string{"KafkadrMirrorLag"}},
		{"stalled", func(s *mirror.Status, _ *backup.Status, _ *Config) { s.Topics[0].Detail[1].LagRecords = 10 }, []string{"KafkadrMirrorPartitionStalled"}},
		{"RPO", func(s *mirror.Status, _ *backup.Status, _ *Config) {
			s.RPO = mirror.RPO{Records: 10, AgeMillis: 301_000}
		}, []string{"KafkadrMirrorRPO"}},
		{"RPO unknown", func(s *mirror.Status, _ *backup.Status, _ *Config) { s.RPO.Unknown = 1 }, []string{"KafkadrMirrorRPOUnknown"}},
		{"a silent source", func(s *mirror.Status, _ *backup.Status, _ *Config) { s.RPO.SourceAgeMillis = 61_000 }, []string{"KafkadrMirrorSourceSilent"}},
		{"opening", func(s *mirror.Status, _ *backup.Status, _ *Config) {
			s.Opening, s.Copying, s.Topics[0].Detail[1].State = 1, 3, mirror.Opening
		}, []string{"KafkadrMirrorOpening"}},
		{"stopped", stoppedAt(mirror.TooLarge), []string{"KafkadrMirrorPartitionsStopped"}},
		{"stopped, large", func(s *mirror.Status, b *backup.Status, c *Config) {
			stoppedAt(mirror.TooLarge)(s, b, c)
			c.MaxPartitions, c.MaxTopics = -1, -1
		}, []string{"KafkadrMirrorPartitionsStopped"}},
		{"overtaken", stoppedAt(mirror.Overtaken), []string{"KafkadrMirrorHole", "KafkadrMirrorPartitionsStopped"}},
		{"overtaken, gone on", eventAt(mirror.Overtaken), []string{"KafkadrMirrorHole"}},
		{"foreign writer", stoppedAt(mirror.ForeignWriter), []string{"KafkadrMirrorForeignWriter", "KafkadrMirrorPartitionsStopped"}},
		{"shifted", stoppedAt(mirror.Shifted), []string{"KafkadrMirrorForeignWriter", "KafkadrMirrorPartitionsStopped"}},
		{"re-created", stoppedAt(mirror.TopicRecreated), []string{"KafkadrMirrorPartitionsStopped", "KafkadrMirrorSourceChanged"}},
		{"truncated", stoppedAt(mirror.Truncated), []string{"KafkadrMirrorPartitionsStopped", "KafkadrMirrorSourceChanged"}},
		{"standby ahead", stoppedAt(mirror.StandbyAhead), []string{"KafkadrMirrorPartitionsStopped", "KafkadrMirrorSourceChanged"}},
		{"re-created, begun anew", eventAt(mirror.TopicRecreated), []string{"KafkadrMirrorSourceChanged"}},
		{"standby back", eventAt(mirror.StandbyBack), []string{"KafkadrMirrorStandbyLost"}},
		{"taken over", stoppedAt(mirror.TakenOver), []string{"KafkadrMirrorPartitionsStopped", "KafkadrMirrorTakenOver"}},
		{"a hanging transaction", func(s *mirror.Status, b *backup.Status, c *Config) {
			eventAt(mirror.LSOStuck)(s, b, c)
			s.LSOLag = 5
		}, []string{"KafkadrMirrorOpenTransaction"}},
		{"a hanging transaction that has ended", eventAt(mirror.LSOStuck), nil},
		{"an old heartbeat", func(s *mirror.Status, _ *backup.Status, _ *Config) { s.Heartbeat.AgeMillis = 61_000 }, []string{"KafkadrMirrorNoHeartbeat"}},
		{"no heartbeat ever", func(s *mirror.Status, _ *backup.Status, _ *Config) {
			s.Heartbeat = mirror.HeartbeatStatus{Enabled: true, LatencyMillis: -1, AgeMillis: -1}
		}, []string{"KafkadrMirrorNoHeartbeat"}},
		{"old groups", func(s *mirror.Status, _ *backup.Status, _ *Config) { s.Groups.AgeMillis = 61_000 }, []string{"KafkadrMirrorGroupSyncStale"}},
		{"held groups", func(s *mirror.Status, _ *backup.Status, _ *Config) { s.Groups.Held = 2 }, []string{"KafkadrMirrorGroupsHeld"}},
		{"an old snapshot", func(_ *mirror.Status, b *backup.Status, _ *Config) { b.SnapshotAge = millis.Duration(61 * time.Minute) }, []string{"KafkadrBackupTooOld"}},
		{"no snapshot", func(_ *mirror.Status, b *backup.Status, _ *Config) { b.SnapshotAge = -1 }, []string{"KafkadrBackupNone"}},
	} {
		s, b, cfg := healthy(), backup.Status{SnapshotAge: millis.Duration(10 * time.Minute)}, Config{}
		c.change(&s, &b, &cfg)
		held := fixedBackup(b)
		cfg.Backup = &held
		f.add(c.name, series(t, New(&fixed{s}, cfg)), c.want)
		for _, a := range c.want {
			fired[a] = true
		}
	}
	f.run(t)
	for _, a := range alerts() {
		if !fired[a] {
			t.Errorf("%s is held by no test", a)
		}
	}
}

func behind(s *mirror.Status, _ *backup.Status, _ *Config) {
	s.LagMillis, s.Topics[0].LagMillis = 61_000, 61_000
}

func stoppedAt(k mirror.EventKind) func(*mirror.Status, *backup.Status, *Config) {
	return func(s *mirror.Status, _ *backup.Status, _ *Config) { stop(s, k, base().Add(hour/2)) }
}

func eventAt(k mirror.EventKind) func(*mirror.Status, *backup.Status, *Config) {
	return func(s *mirror.Status, _ *backup.Status, _ *Config) {
		happened(s, mirror.Event{Kind: k, Time: base().Add(hour / 2)})
	}
}

// series are what a collector gives, each with its value, as promtool writes series.
func series(t *testing.T, c *Collector) map[string]float64 {
	t.Helper()
	all := make(map[string]float64)
	for name, f := range gather(t, c) {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			v := m.GetGauge().GetValue()
			if f.GetType() == dto.MetricType_COUNTER {
				v = m.GetCounter().GetValue()
			}
			all[name+"{"+strings.Join(labels, ",")+"}"] = v
		}
	}
	return all
}

// testFile is a promtool test of series that stand still for an hour.
type testFile struct{ tests strings.Builder }

// add holds that exactly these alerts fire. The expression asks for ALERTS, so labels and
// annotations don't count.
func (f *testFile) add(name string, series map[string]float64, want []string) {
	fmt.Fprintf(&f.tests, "- name: %q\n  interval: 1m\n  input_series:\n", name)
	for _, s := range slices.Sorted(maps.Keys(series)) {
		fmt.Fprintf(&f.tests, "  - series: '%s'\n    values: '%vx90'\n", s, series[s])
	}
	fmt.Fprintf(&f.tests, "  promql_expr_test:\n  - expr: count by (alertname) (ALERTS{alertstate=\"firing\"})\n    eval_time: %s\n", hour)
	if len(want) > 0 {
		f.tests.WriteString("    exp_samples:\n")
	}
	for _, a := range want {
		fmt.Fprintf(&f.tests, "    - labels: '{alertname=%q}'\n      value: 1\n", a)
	}
}

func (f *testFile) run(t *testing.T) {
	t.Helper()
	rules, err := filepath.Abs("rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "test.yml")
	text := fmt.Sprintf("rule_files: [%q]\nevaluation_interval: 1m\ntests:\n%s", rules, f.tests.String())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", file)
}
