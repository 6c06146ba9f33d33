package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestClustersSample: the sample is a good file, and says what the help says.
func TestClustersSample(t *testing.T) {
	f := clustersFlag{path: filepath.Join("testdata", "clusters.json")}
	env := map[string]string{"KDR_SASL_USERNAME": "u", "KDR_SASL_PASSWORD": "p"}
	a := &app{getenv: func(k string) string { return env[k] }}
	if f.check(a); len(a.faults) > 0 {
		t.Fatal(a.faults)
	}
	if f.file.Scope != "shop" || len(f.file.Clusters) != 2 || len(f.file.Register.stores) != 3 || f.file.Budget.Records != 10000 || f.file.names() != "ams, fra" {
		t.Errorf("%+v", f.file)
	}
	for _, field := range []string{"scope", "register", "stores", "prefix", "clusters", "name", "brokers", "kafka_config", "id", "paths", "flow", "skip_groups", "topics", "exclude", "lease", "budget", "records", "age", "allow_unknown", "fence", "deny_writes", "except", "trust",
		"probe", "probes", "need", "interval", "timeout", "failures", "of", "slower_than", "successes", "backoff", "max_backoff", "also_down", "ignore", "canary", "topic", "create", "replicas", "offline", "share"} {
		if !strings.Contains(clustersHelp, `"`+field+`"`) {
			t.Errorf("the help lacks %s", field)
		}
	}
}

// TestClustersFaults: all that is wrong with a clusters file is named at once, by every command
// that reads one.
func TestClustersFaults(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("bad.properties", "security.protocol=NONE\n")
	bad := write("bad.json", `{"scope": "Shop", "colour": 1, "register": {"stores": ["file:///r", "ftp://x"], "size": 2}, "lease": "soon",
		"clusters": [{"name": "A B", "brokers": ["x"], "paths": [{"brokers": ["a:1"], "port": 1}]}, {"name": "b"}, {"name": "b", "brokers": ["b:1"], "kafka_config": "bad.properties"}],
		"topics": ["("], "budget": {"records": -1, "age": "-"}, "fence": {"except": ["User:x"], "deny_writes": 1},
		"probe": {"probes": ["metadata", "ping", "metadata", 7], "need": "some", "colour": 1, "interval": "soon", "timeout": "0s", "failures": 0, "of": "5", "also_down": ["fire", "auth"], "ignore": ["auth"],
			"canary": {"topic": "a b", "replicas": 0}, "offline": {"topics": [""], "share": 2}}}`)
	wants := []string{
		"scope: ", "unknown field colour", "unknown field register.size", "unknown field clusters[0].paths[0].port", "want one store, or three", `unknown scheme "ftp"`, "lease: ",
		`clusters[0].name: want lower-case`, `clusters[0].brokers: want HOST:PORT, got "x"`, "clusters[1].brokers is required", "b is there twice", "clusters[2].kafka_config: ", "security.protocol",
		"topics: ", "budget.records is negative", "budget.age", "fence.except means nothing", "fence.deny_writes: can't take number for true or false",
		`probe.probes[1]: want metadata`, "probe.probes[2]: metadata is there twice", "probe.probes[3]: can't take number for a text", `probe.need: want all or any, got "some"`, "unknown field probe.colour",
		"probe.interval: want", "probe.timeout: want", "probe.failures: want 1", "probe.of: can't take string for a whole number", `got "fire"`, "auth is in also_down and in ignore",
		"probe.canary means nothing without round_trip", "probe.canary.topic: ", "probe.canary.replicas: want 1", "probe.canary.replicas means nothing without create",
		"probe.offline means nothing without", "probe.offline.topics[0]", "probe.offline.share: want",
	}
	one := write("one.json", `{"register": {"stores": ["mem://"]}, "clusters": [{"name": "a", "brokers": ["a:1"]}]}`)
	good := write("good.json", `{"register": {"stores": ["file:///r"]}, "clusters": [{"name": "a", "brokers": ["a:1"]}, {"name": "b", "brokers": ["b:1"]}]}`)
	for _, c := range []struct {
		args string
		want []string
	}{
		{"failover --planned --max-rpo 3 --to c --clusters " + bad, append(wants, `--to: "c"`, "--planned loses nothing")},
		{"failback --delete-forked --clusters " + bad, append(wants, "--delete-forked needs --prepare")},
		{"controller --interval 0s --metrics x --clusters " + bad, append(wants, "--interval", "--metrics")},
		{"status --from x:1 --clusters " + bad, append(wants, "--from: --clusters says that")},
		{"mirror --once --prefix A. --clusters " + bad, append(wants, "--once: --clusters says that", "--prefix: --clusters says that", "--clusters needs --from-name")},
		{"failover --to b --clusters " + one, []string{"want two at least", "mem://"}},
		{"failover", []string{"--clusters is required", "--to is required"}},
		{"failover --to b --clusters /nonesuch", []string{"/nonesuch"}},
		{"failover --to b --clusters " + write("no.json", "{"), []string{"not JSON"}},
		{"failover --to b --clusters " + write("two.json", "{} {}"), []string{"more than one"}},
		{"failover --to b --clusters " + write("type.json", `{"clusters": 1}`), []string{"clusters"}},
		{"failback --save-tail /x --ignore-tail --clusters " + good, []string{"exclude each other"}},
		{"failback --prepare --clusters " + good, []string{"--prepare needs --save-tail"}},
		{"failback --prepare --save-tail ftp://x --clusters " + good, []string{`--save-tail: unknown scheme "ftp"`}},
		{"mirror --from-name a --to-name b --from a:1 --to b:1", []string{"need --clusters"}},
		{"mirror --from-name a --to-name a --clusters " + good, []string{"are the same"}},
	} {
		wantUsage(t, c.args, c.want...)
	}
}

// TestClustersSecrets: a cluster's own password comes from its own variable, and is in no output,
// nor in the register.
func TestClustersSecrets(t *testing.T) {
	const canary = "c4n4ry-s3cr3t"
	plain, secure := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{Secure: true}).(testkafka.Secured)
	secure.CreateUser(t, "dr", canary)
	testkafka.Allow(t, secure, "dr", kadm.NewACLs().Topics("*").Groups("*").TransactionalIDs("*").Operations(kadm.OpAll))
	testkafka.Allow(t, secure, "dr", kadm.NewACLs().Clusters().Operations(kadm.OpAll))
	register := filepath.Join(t.TempDir(), "register")
	file := clustersOf(t, plain, secure, map[string]any{
		"register": map[string]any{"stores": []string{"file://" + register}},
		"clusters": []any{
			map[string]any{"name": "a", "brokers": plain.Addrs()},
			map[string]any{"name": "b-2", "brokers": secure.Addrs(), "kafka_config": secure.ClientProperties(t, "dr", "wrong")},
		},
	})
	good, bad := []string{"KDR_B_2_SASL_PASSWORD=" + canary}, []string{"KDR_B_2_SASL_PASSWORD=" + canary + "-wrong"}
	flags := []string{"--clusters", file, "--json", "--verbose"}
	runs := []outcome{
		kdrEnv(t, good, append(flags, "failover", "--to", "b-2", "--dry-run")...).want(t, 0),
		kdrEnv(t, bad, append(flags, "failover", "--to", "b-2")...).want(t, 4),
		kdrEnv(t, bad, append(flags, "status")...).want(t, 1),
		kdrEnv(t, good, append(flags, "failover", "--to", "b-2")...).want(t, 0),
		kdrEnv(t, good, append(flags, "failback", "--dry-run")...),
		kdrEnv(t, bad, append(flags, "mirror", "--from-name", "b-2", "--to-name", "a")...).want(t, 1),
	}
	for i, o := range runs {
		if strings.Contains(o.stdout+o.stderr, canary) {
			t.Errorf("run %d prints the secret:\n%s\n%s", i, o.stdout, o.stderr)
		}
	}
	err := filepath.WalkDir(register, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if strings.Contains(string(raw), canary) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
