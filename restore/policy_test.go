package restore

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
)

func ptr[T any](v T) *T { return &v }

// What is set while copying and in the end follows from the snapshot's effective configs, wherever
// they came from.
func TestTopicConfigs(t *testing.T) {
	topic := storage.Topic{Configs: []storage.TopicConfig{
		{Key: "cleanup.policy", Value: ptr("compact,delete"), Source: "DYNAMIC_TOPIC_CONFIG"},
		{Key: "retention.ms", Value: ptr("1000"), Source: "STATIC_BROKER_CONFIG"},
		{Key: "max.message.bytes", Value: ptr("2000000"), Source: "DYNAMIC_DEFAULT_BROKER_CONFIG"},
		{Key: "segment.ms", Value: ptr("5"), Source: "DEFAULT_CONFIG"},
		{Key: "min.insync.replicas", Value: ptr("2"), Source: "DYNAMIC_TOPIC_CONFIG"},
		{Key: "delete.retention.ms", Value: ptr("7"), Source: "DYNAMIC_TOPIC_CONFIG"},
		{Key: "leader.replication.throttled.replicas", Value: ptr("0:1"), Source: "DYNAMIC_TOPIC_CONFIG"},
		{Key: "sensitive", Source: "DYNAMIC_TOPIC_CONFIG"},
	}}
	c := newTopicConfigs(topic, 1, 3_000_000)
	wantFinal := map[string]string{
		"cleanup.policy": "compact,delete", "retention.ms": "1000", "max.message.bytes": "2000000",
		"min.insync.replicas": "1", "delete.retention.ms": "7",
	}
	if diff := cmp.Diff(wantFinal, c.final); diff != "" {
		t.Errorf("final: %s", diff)
	}
	wantCopying := map[string]string{
		"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1", "message.timestamp.type": "CreateTime",
		"message.timestamp.before.max.ms": noLimit, "message.timestamp.after.max.ms": noLimit, "compression.type": "producer",
		"max.message.bytes": "3000000", "min.insync.replicas": "1", "delete.retention.ms": "7",
	}
	if diff := cmp.Diff(wantCopying, c.copying); diff != "" {
		t.Errorf("copying: %s", diff)
	}
	if len(c.warnings) != 2 {
		t.Errorf("warnings %q, want of the lowered and the dropped one", c.warnings)
	}
	held, _ := c.held(expiry{records: 1}, time.Now())
	wantHeld := map[string]string{
		"cleanup.policy": "compact,delete", "retention.ms": "1000", "retention.bytes": "",
		"message.timestamp.before.max.ms": "", "message.timestamp.after.max.ms": "",
	}
	if diff := cmp.Diff(wantHeld, without(held, "retention.bytes", ""), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("held: %s", diff)
	}
}

// without keeps m, adding key if it isn't there.
func without(m map[string]string, key, value string) map[string]string {
	if _, ok := m[key]; !ok {
		m[key] = value
	}
	return m
}

func TestHeldWhereRecordsWouldExpire(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	for name, tt := range map[string]struct {
		configs map[string]string
		content expiry
		held    bool
	}{
		"empty":                {map[string]string{"cleanup.policy": "compact"}, expiry{}, false},
		"compact":              {map[string]string{"cleanup.policy": "compact"}, expiry{records: 1, oldest: 1_000_000}, true},
		"old":                  {map[string]string{"cleanup.policy": "delete", "retention.ms": "1000"}, expiry{records: 1, oldest: 998_999}, true},
		"young":                {map[string]string{"cleanup.policy": "delete", "retention.ms": "1000"}, expiry{records: 1, oldest: 999_001}, false},
		"no timestamp":         {map[string]string{"cleanup.policy": "delete", "retention.ms": "1000"}, expiry{records: 1, oldest: -1}, true},
		"for ever":             {map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}, expiry{records: 1, oldest: -1, partition: 1 << 40}, false},
		"large":                {map[string]string{"cleanup.policy": "delete", "retention.bytes": "100"}, expiry{records: 1, partition: 101}, true},
		"small":                {map[string]string{"cleanup.policy": "delete", "retention.bytes": "100"}, expiry{records: 1, partition: 100}, false},
		"policy isn't known":   {nil, expiry{records: 1}, true},
		"no policy to be held": {map[string]string{"cleanup.policy": "delete"}, expiry{records: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var st storage.Topic
			for k, v := range tt.configs {
				st.Configs = append(st.Configs, storage.TopicConfig{Key: k, Value: ptr(v), Source: dynamicTopicConfig})
			}
			c := newTopicConfigs(st, 1, 0)
			if held, why := c.held(tt.content, now); (len(held) > 0) != tt.held || (why != "") != tt.held {
				t.Errorf("held %v (%s), want %v", held, why, tt.held)
			}
		})
	}
}

// configsOn reads a topic's own configs.
func configsOn(t testing.TB, cl testkafka.Cluster, topic string, keys ...string) map[string]string {
	t.Helper()
	all, err := describeTopics(t.Context(), connectTo(t, cl), []string{topic})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, k := range keys {
		got[k] = all[topic][k].value
	}
	return got
}

// Policies are held where records would expire, whole until Release, which is asked twice; others
// are there at the end of Run.
func TestHoldAndRelease(t *testing.T) {
	testHoldAndRelease(t, func(s *storage.Snapshot) (Config, testkafka.Cluster) { return fakeConfig(t, s) }, func() {})
}

// A later snapshot has topics that were never restored: Release passes them over, and says so.
func TestReleaseWithoutTopics(t *testing.T) {
	old := plain(t, 0, 5, 10)
	arch := fakeArchive(t, nil,
		fakeTopic{name: "here", partitions: []opstest.History{old}, configs: map[string]string{"retention.ms": "60000"}},
		fakeTopic{name: "there", partitions: []opstest.History{old}})
	cfg, cl := fakeConfig(t, arch)
	if _, err := Release(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "here, there") {
		t.Errorf("release of nothing: %v", err)
	}
	cfg.Topics = []string{"here"}
	restored(t, cfg)
	cfg.Topics = nil
	rel, err := Release(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"there"}, rel.Missing); diff != "" {
		t.Error(diff)
	}
	if got := configsOn(t, cl, "here", "retention.ms")["retention.ms"]; got != "60000" {
		t.Errorf("retention.ms is %s", got)
	}
}

// testHoldAndRelease calls while when policies are held.
func testHoldAndRelease(t *testing.T, config func(*storage.Snapshot) (Config, testkafka.Cluster), while func()) {
	old, none := plain(t, 0, 5, 10), opstest.History{}
	topics := []fakeTopic{
		{name: "hold-expired", partitions: []opstest.History{old}, configs: map[string]string{"retention.ms": "60000"}},
		{name: "hold-compact", partitions: []opstest.History{old}, configs: map[string]string{"cleanup.policy": "compact"}},
		{name: "hold-kept", partitions: []opstest.History{old}, configs: map[string]string{"retention.bytes": "100000000"}},
		{name: "hold-empty", partitions: []opstest.History{none}, configs: map[string]string{"cleanup.policy": "compact", "retention.ms": "60000"}},
	}
	cfg, cl := config(fakeArchive(t, nil, topics...))
	cfg.Topics = []string{"hold-.*"}
	res := restored(t, cfg)
	wantHeld := map[string]map[string]string{
		"hold-expired": {"retention.ms": "60000"}, "hold-compact": {"cleanup.policy": "compact"},
	}
	for _, held := range res.Held {
		delete(held, cfgBefore)
		delete(held, cfgAfter)
	}
	if diff := cmp.Diff(wantHeld, res.Held); diff != "" {
		t.Errorf("held: %s", diff)
	}
	keys := []string{"cleanup.policy", "retention.ms", "retention.bytes"}
	check := func(topic, cleanup, ms, bytes string) {
		t.Helper()
		want := map[string]string{"cleanup.policy": cleanup, "retention.ms": ms, "retention.bytes": bytes}
		testkafka.Eventually(t, time.Minute, func(context.Context) error { // a real broker hears of it from the controller
			if diff := cmp.Diff(want, configsOn(t, cl, topic, keys...)); diff != "" {
				return fmt.Errorf("%s: %s", topic, diff)
			}
			return nil
		})
	}
	check("hold-expired", "delete", "-1", "-1")
	check("hold-compact", "delete", "-1", "-1")
	check("hold-kept", "delete", "-1", "100000000")
	check("hold-empty", "compact", "60000", "-1")
	while()
	checkTopics(t, cl, copyops.Filter{}, topics...)
	for n := range 2 {
		rel, err := Release(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := rel.Topics["hold-expired"]; ok != (n == 0) {
			t.Errorf("release %d: %v", n, rel.Topics)
		}
		check("hold-expired", "delete", "60000", "-1")
		check("hold-compact", "compact", "-1", "-1")
		check("hold-kept", "delete", "-1", "100000000")
	}
}
