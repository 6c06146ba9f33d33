package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestProbeSample: what the sample says is what the library gets, and its canary topic isn't one of
// the scope's.
func TestProbeSample(t *testing.T) {
	f := clustersFlag{path: filepath.Join("testdata", "clusters.json")}
	env := map[string]string{"KDR_SASL_USERNAME": "u", "KDR_SASL_PASSWORD": "p"}
	a := &app{getenv: func(k string) string { return env[k] }}
	if f.check(a); len(a.faults) > 0 {
		t.Fatal(a.faults)
	}
	p := f.file.Probe
	want := probe.Rule{
		Failures: 4, Of: 6, Successes: 5, Interval: 2 * time.Second, Timeout: 5 * time.Second, SlowerThan: 3 * time.Second, Backoff: 30 * time.Second, MaxBackoff: 10 * time.Minute,
		AlsoDown: []probe.Kind{probe.Denied}, Ignore: []probe.Kind{probe.Canary},
	}
	if d := cmp.Diff(want, p.rule()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(probe.RoundTripConfig{Topic: "canary", Create: true, Replicas: 3}, p.roundTrip(true)); d != "" {
		t.Error(d)
	}
	if p.roundTrip(false).Create {
		t.Error("a look on command creates a topic")
	}
	if d := cmp.Diff(probe.OfflineConfig{Topics: []string{"orders", "payments"}, Share: 0.25}, p.offline()); d != "" {
		t.Error(d)
	}
	f.file.Topics = nil
	if takes := f.file.takes(); takes("canary") || !takes("canary2") {
		t.Error("the canary topic is the scope's")
	}
	var none probeSpec
	if d := cmp.Diff(probe.Rule{}, none.rule()); d != "" || !slices.Equal(none.names(), []string{probeMetadata}) || none.canaryTopic() != "" {
		t.Error("the default isn't the library's", d)
	}
}

// TestProbeFaults: what depends on each other is checked by the library, and told in the file's
// words.
func TestProbeFaults(t *testing.T) {
	for text, want := range map[string]string{
		`{"failures": 6, "of": 5}`:                                   "probe.failures must be 1 to of",
		`{"slower_than": "3s"}`:                                      "probe.slower_than must be 0 to timeout",
		`{"backoff": "2m", "max_backoff": "1m"}`:                     "probe.backoff must be 0 to max_backoff",
		`{"failures": 6, "of": 5, "slower_than": "3s"}`:              "probe.slower_than",
		`{"failures": 6}`:                                            "",
		`{"max_backoff": "1s"}`:                                      "",
		`{"probes": ["tcp", "round_trip"], "need": "any"}`:           "",
		`{"probes": ["round_trip"], "canary": {"create": true}}`:     "",
		`{"probes": ["offline_partitions"], "offline": {}}`:          "",
		`{"probes": ["offline_partitions"], "offline": {"share":0}}`: "probe.offline.share",
	} {
		var p probeSpec
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		a := &app{}
		p.check(a)
		if got := strings.Join(a.faults, "; "); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestStatusProbe: status tells what one look sees of each cluster, and makes no topic for it.
func TestStatusProbe(t *testing.T) {
	from, to, _ := twoFakes(t, 10)
	down := testkafka.Fake(t, testkafka.Options{})
	clusters := []any{map[string]any{"name": "a", "brokers": from.Addrs()}, map[string]any{"name": "b", "brokers": to.Addrs()}, map[string]any{"name": "c", "brokers": down.Addrs()}}
	down.Kill(t, 0)
	looks := func(section map[string]any) (all []any) {
		t.Helper()
		o := kdr(t, "--json", "status", "--clusters", clustersOf(t, from, to, map[string]any{"clusters": clusters, "probe": section}))
		for _, c := range at(t, o.json(t), "clusters").([]any) {
			all = append(all, at(t, c, "probe"))
		}
		return all
	}
	for i, look := range looks(nil) {
		wantAt(t, look, i < 2, "ok")
		wantAt(t, look, i == 2, "failed")
	}
	looked := looks(map[string]any{"probes": []string{"tcp", "round_trip"}, "canary": map[string]any{"topic": "feather", "create": true}})
	wantAt(t, looked[0], "config", "kind")
	wantAt(t, looked[0], false, "failed")
	wantAt(t, looked[2], "unreachable", "kind")
	looked = looks(map[string]any{"probes": []string{"tcp", "round_trip"}, "need": "any"})
	wantAt(t, looked[0], true, "ok")
	looked = looks(map[string]any{"slower_than": "1ns"})
	wantAt(t, looked[0], "slow", "kind")
	wantAt(t, looked[0], true, "failed")
	clusters[0].(map[string]any)["id"] = "another"
	wantAt(t, looks(nil)[0], "wrong_cluster", "kind")
	if topics, err := from.adm.ListTopics(t.Context()); err != nil || topics.Has("feather") {
		t.Error(topics.Names(), err)
	}
	if o := kdr(t, "status", "--clusters", clustersOf(t, from, to, nil)); !strings.Contains(o.stdout, "probe: healthy, in ") {
		t.Error(o.stdout)
	}
}

// TestControllerProbe: a controller looks by the file's probes, makes the canary topic on each
// cluster, which is no topic of the scope's, and switches by the file's rule.
func TestControllerProbe(t *testing.T) {
	from, standby, _ := twoFakes(t, 10)
	to := newSource(t, standby, "")
	file := clustersOf(t, from, to, map[string]any{"probe": map[string]any{
		"probes": []string{"metadata", "round_trip"}, "canary": map[string]any{"topic": "feather", "create": true}, "interval": "100ms", "timeout": "1s", "failures": 2, "of": 2,
	}})
	c := start(t, "controller", "--clusters", file, "--json", "--metrics", "127.0.0.1:0")
	c.waitForLog(t, "serving metrics")
	awaitMetric(t, c, `kafkadr_failover_up{cluster="a"} 1`, `kafkadr_failover_up{cluster="b"} 1`)
	for _, s := range []*source{from, to} {
		if topics, err := s.adm.ListTopics(t.Context()); err != nil || !topics.Has("feather") {
			t.Error(topics.Names(), err)
		}
	}
	m := mirrorBetween(t, file, "a", "b")
	awaitCopied(t, from, to, "orders", 3)
	awaitMetric(t, c, "kafkadr_failover_rpo_records 0")
	if o := kdr(t, "status", "--clusters", file).want(t, 0); strings.Contains(o.stdout, "feather") || strings.Count(o.stdout, "probe: healthy") != 2 {
		t.Error(o.stdout)
	}
	from.Kill(t, 0)
	awaitPrinted(t, c, `"report":`)
	m.wait(t).want(t, 0)
	for _, doc := range c.documents(t) {
		if r, ok := doc["report"]; ok {
			wantAt(t, r, "switched", "end")
		}
	}
	c.stop(t, syscall.SIGTERM).want(t, 130)
}
