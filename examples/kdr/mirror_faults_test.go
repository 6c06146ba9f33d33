package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestMirrorUsage: all that is wrong with the command line is named at once.
func TestMirrorUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"mirror", []string{"--from is required", "--to is required"}},
		{"mirror --from a:1 --to b --prefix a/b --name x* --topics ( --exclude [ --rate fast --discover 0 --replication-factor 0 --policy x --bogus",
			[]string{`"b"`, "--prefix", "--name", "--topics", "--exclude", "--rate", "--discover", "--replication-factor", "--policy", "unknown flag --bogus"}},
		{"mirror --from a:1 --to b:1 --policy truncated=go_on --policy nonesuch=stop --writes all", []string{"truncated", "nonesuch", "all"}},
		{"mirror --from a:1 --to b:1 --from-kafka-config /none --to-kafka-config /nil", []string{"--from-kafka-config", "/none", "--to-kafka-config", "/nil"}},
		{"mirror --from a:1 --to b:1 extra", []string{`unexpected argument "extra"`}},
	} {
		wantUsage(t, c.args, c.want...)
	}
}

// TestMirrorWrongClusters: brokers that can't be reached and topics that aren't there are one clear
// error each, with exit code 1; what a plan refuses has exit code 4. Either way nothing is made on
// the standby.
func TestMirrorWrongClusters(t *testing.T) {
	from := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	from.fill(5)
	to := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	a, b := from.brokers(), to.brokers()
	closed := closedPort(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"no source", []string{"--from", closed, "--to", b}, 1, []string{closed}},
		{"no standby", []string{"--from", a, "--to", closed}, 1, []string{closed}},
		{"no topic", []string{"--from", a, "--to", b, "--topics", "orders", "--topics", "nonesuch"}, 1, []string{"nonesuch"}},
		{"same cluster", []string{"--from", a, "--to", a}, 4, []string{"same_cluster"}},
		{"replication factor", []string{"--from", a, "--to", b, "--replication-factor", "3"}, 4, []string{"replication_factor"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, more := range [][]string{{"--dry-run"}, nil, {"--once"}, {"--json"}} {
				kdr(t, append(append([]string{"mirror"}, c.args...), more...)...).want(t, c.code).wantOneLine(t, c.want...)
			}
		})
	}
	topics, err := to.adm.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	topics.FilterInternal()
	delete(topics, "__kafkadr") // where a flow was announced, and taken back
	if len(topics) > 0 {
		t.Errorf("the standby holds %v", topics.Names())
	}
}

// TestMirrorRefused: a standby topic that holds somebody else's records, or has more partitions, is
// refused by name, and so is a flow back under the same names.
func TestMirrorRefused(t *testing.T) {
	from := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	from.fill(5)
	to := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	foreign := to.create("orders", 3, nil)
	if err := to.cl.ProduceSync(t.Context(), &kgo.Record{Topic: foreign, Value: []byte("foreign")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	there := []string{"mirror", "--from", from.brokers(), "--to", to.brokers()}
	back := []string{"mirror", "--from", to.brokers(), "--to", from.brokers()}
	kdr(t, append(there, "--once")...).want(t, 4).wantOneLine(t, "orders", "foreign_writer")
	kdr(t, append(there, "--once", "--exclude", "orders")...).want(t, 0)
	kdr(t, append(back, "--once", "--topics", ".*")...).want(t, 4).wantOneLine(t, "flow")
	kdr(t, append(back, "--once", "--dry-run")...).want(t, 4).wantOneLine(t, "flow")

	remote := []string{"--prefix", "B.", "--name", "back"}
	kdr(t, append(append(back, "--once", "--topics", "orders"), remote...)...).want(t, 0)
	wantSamePrefixed(t, to, from, "B.", "orders")
	doc := kdr(t, append(there, "--once", "--exclude", "orders", "--json")...).want(t, 0).json(t)
	if out := doc["left_out"].(map[string]any); out["B.orders"] == nil {
		t.Errorf("a copy that came from the standby isn't left out by name: %v", doc)
	}
	if topics, err := to.adm.ListTopics(t.Context()); err != nil || topics.Has("B.orders") {
		t.Errorf("a copy was mirrored back: %v", err)
	}
}

// TestMirrorCredentials: a wrong password and a missing right, on either side, are one clear error
// each; no secret is in any output, nor in what is noted on the standby.
func TestMirrorCredentials(t *testing.T) {
	const canary = "c4n4ry-s3cr3t"
	secured := func() (testkafka.Secured, string) {
		c := testkafka.Fake(t, testkafka.Options{Secure: true}).(testkafka.Secured)
		c.CreateUser(t, "mirror", canary)
		testkafka.Allow(t, c, "mirror", kadm.NewACLs().Topics("*").Groups("*").TransactionalIDs("*").Operations(kadm.OpAll))
		testkafka.Allow(t, c, "mirror", kadm.NewACLs().Clusters().Operations(kadm.OpAll))
		c.CreateUser(t, "mallory", canary)
		return c, c.ClientProperties(t, "mirror", canary)
	}
	from, fromConfig := secured()
	to, toConfig := secured()
	newSource(t, from, "").fill(5)
	base := slices.Clip([]string{"mirror", "--from", from.Addrs()[0], "--to", to.Addrs()[0], "--verbose", "--once"})
	good := slices.Clip([]string{"--from-kafka-config", fromConfig, "--to-kafka-config", toConfig})
	t.Run("group", func(t *testing.T) {
		for _, c := range []struct {
			name string
			code int
			env  string
			args []string
			want []string // on the one line
		}{
			{"wrong password at the source", 1, "KDR_FROM_SASL_PASSWORD=" + canary + "-wrong", good, []string{"source", "authentication failed"}},
			{"wrong password on the standby", 1, "KDR_TO_SASL_PASSWORD=" + canary + "-wrong", good, []string{"target", "authentication failed"}},
			{"broken file", 2, "", []string{"--from-kafka-config", brokenProperties(t, canary), "--to-kafka-config", toConfig}, nil},
			{"no TLS to the standby", 1, "", []string{"--from-kafka-config", fromConfig}, []string{"target"}},
			{"no rights on the standby", 1, "", []string{"--from-kafka-config", fromConfig, "--to-kafka-config", to.ClientProperties(t, "mallory", canary)}, []string{"target", "AUTHORIZATION"}},
			{"no rights at the source", 4, "", []string{"--from-kafka-config", from.ClientProperties(t, "mallory", canary), "--to-kafka-config", toConfig, "--topics", "orders"}, []string{"orders: denied"}},
			{"a plan", 0, "", append(good, "--dry-run", "--json"), nil},
			{"a mirror", 0, "", append(good, "--json", "--topics", "orders"), nil},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				o := kdrEnv(t, []string{c.env}, append(base, c.args...)...).want(t, c.code)
				if strings.Contains(o.stdout+o.stderr, canary) {
					t.Errorf("the secret is printed:\n%s\n%s", o.stdout, o.stderr)
				}
				if c.want != nil {
					o.wantOneLine(t, c.want...)
				}
			})
		}
	})
	noSecretIn(t, to, canary)
	noSecretIn(t, from, canary)
}

// noSecretIn looks through what a cluster's topics hold.
func noSecretIn(t *testing.T, c testkafka.Cluster, secret string) {
	t.Helper()
	topics, err := kadm.NewClient(testkafka.Client(t, c)).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, records := range read(t, c, kgo.ReadUncommitted(), topics.Names()...) {
		for _, r := range records {
			if strings.Contains(r, secret) {
				t.Errorf("a record holds the secret: %s", r)
			}
		}
	}
}
