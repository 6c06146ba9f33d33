package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestGroups carries committed offsets from one cluster to another through a file, and back to what
// was there.
func TestGroups(t *testing.T) {
	from := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	to := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	from.fill(20)
	to.fill(20)
	file := filepath.Join(t.TempDir(), "groups.json")
	groups := func(s *source, action string, more ...string) outcome {
		return kdr(t, append([]string{"groups", "--brokers", s.brokers(), action, "--file", file}, more...)...)
	}
	from.commit("g", "orders", 0, 7)
	from.commit("gone", "orders", 0, 3)
	groups(from, "snapshot").want(t, 0)
	if _, err := from.adm.DeleteGroup(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	doc := groups(from, "snapshot", "--json").want(t, 0).json(t)
	fields(t, doc, "file", "cluster_id", "groups", "offsets", "absent", "pending", "not_carried", "failed")
	if absent := doc["absent"].([]any); len(absent) != 1 || !strings.HasPrefix(absent[0].(string), "gone since ") {
		t.Errorf("%v", doc)
	}
	if o := groups(from, "diff").want(t, 0); o.stdout != "no difference\n" {
		t.Error(o.stdout)
	}
	groups(to, "snapshot").want(t, 4) // the file is another cluster's

	to.commit("g", "orders", 0, 9)
	if o := groups(to, "apply").want(t, 4); !strings.Contains(o.stdout, "refuse orders/0 at 7, now 9: rewind") || !strings.Contains(o.stderr, "group g") {
		t.Errorf("%+v", o)
	}
	plan := groups(to, "apply", "--dry-run", "--allow-rewind", "--json").want(t, 0).json(t)
	fields(t, plan, "plan", "dry_run")
	wantOffset(t, to.Cluster, "g", "orders", 9)
	doc = groups(to, "apply", "--allow-rewind", "--json", "--groups", "g.*").want(t, 0).json(t)
	fields(t, doc, "plan", "dry_run", "rollback_file", "groups", "offsets", "kept", "refused", "raised")
	wantOffset(t, to.Cluster, "g", "orders", 7)
	if now := to.groups(); strings.Contains(now, "gone") {
		t.Error(now)
	}
	if o := groups(to, "apply", "--restore-absent").want(t, 4); !strings.Contains(o.stderr, "roll back with it") {
		t.Errorf("%+v", o)
	}
	to.commit("g", "orders", 0, 9)
	groups(to, "apply", "--allow-rewind").want(t, 0) // as if the first had broken off
	groups(to, "rollback", "--dry-run").want(t, 0)
	wantOffset(t, to.Cluster, "g", "orders", 7)
	if doc := groups(to, "rollback", "--json").want(t, 0).json(t); doc["removed"] != true {
		t.Errorf("%v", doc)
	}
	wantOffset(t, to.Cluster, "g", "orders", 9)
	groups(to, "rollback").want(t, 1) // the file is gone

	groups(to, "apply", "--restore-absent", "--groups", "gone").want(t, 0)
	wantOffset(t, to.Cluster, "gone", "orders", 3)
	if err := os.Rename(file+".rollback", file); err != nil {
		t.Fatal(err)
	}
	groups(to, "apply").want(t, 1) // not a snapshot
}

// TestGroupsFiles: a file that is missing, or isn't one of the command's, is named before any
// cluster is asked.
func TestGroupsFiles(t *testing.T) {
	dir := t.TempDir()
	empty, garbage, missing := filepath.Join(dir, "empty"), filepath.Join(dir, "garbage"), filepath.Join(dir, "missing", "file")
	for path, text := range map[string]string{empty: "{}", garbage: "groups"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	closed := closedPort(t)
	for _, action := range []string{"snapshot", "diff", "apply", "rollback"} {
		for _, path := range []string{empty, garbage, missing} {
			flag := "--file"
			if action == "rollback" {
				flag = "--rollback-file"
			}
			o := kdr(t, "groups", "--brokers", closed, action, flag, path).want(t, 1)
			if o.stdout != "" || !strings.Contains(o.stderr, filepath.Dir(path)) || strings.Contains(o.stderr, closed) {
				t.Errorf("%s %s: %+v", action, path, o)
			}
		}
	}
}

// groups are the names of the cluster's groups.
func (s *source) groups() string {
	s.t.Helper()
	listed, err := s.adm.ListGroups(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.Join(listed.Groups(), " ")
}

// TestGroupsActive: a group that has members is refused by name, and the rest is applied if told
// to.
func TestGroupsActive(t *testing.T) {
	c := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	c.fill(20)
	file := filepath.Join(t.TempDir(), "groups.json")
	args := []string{"groups", "--brokers", c.brokers(), "--file", file}
	c.commit("busy", "orders", 0, 2)
	c.commit("idle", "orders", 0, 2)
	kdr(t, append(args, "snapshot")...).want(t, 0)
	c.commit("busy", "orders", 0, 1)
	c.commit("idle", "orders", 0, 1)
	member := testkafka.Client(t, c.Cluster, kgo.ConsumerGroup("busy"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
	if err := member.PollFetches(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if o := kdr(t, append(args, "apply")...).want(t, 4); !strings.Contains(o.stderr, "group busy: active") {
		t.Errorf("%+v", o)
	}
	wantOffset(t, c.Cluster, "idle", "orders", 1)
	if o := kdr(t, append(args, "apply", "--skip-refused")...).want(t, 0); !strings.Contains(o.stdout, "refused: group busy: active") {
		t.Errorf("%+v", o)
	}
	wantOffset(t, c.Cluster, "idle", "orders", 2)
	wantOffset(t, c.Cluster, "busy", "orders", 1)
}

// TestGroupsUsage: all faults at once.
func TestGroupsUsage(t *testing.T) {
	for args, want := range map[string][]string{
		"groups":                             {"want snapshot, diff, apply or rollback", "--file is required", "--brokers is required"},
		"groups --brokers a:1 move --file f": {`got "move"`},
		"groups --brokers a:1 diff --file f --dry-run":   {"--dry-run means nothing to diff"},
		"groups --brokers a:1 apply --file f --force":    {"--force means nothing to apply"},
		"groups --brokers a:1 apply --file f --groups (": {"--groups: "},
	} {
		o := kdr(t, strings.Fields(args)...).want(t, 2)
		for _, text := range want {
			if !strings.Contains(o.stderr, text) {
				t.Errorf("%s: no %q in %s", args, text, o.stderr)
			}
		}
	}
}
