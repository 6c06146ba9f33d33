package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestRealUnfitStandby: a standby that refuses the credentials, that doesn't let them write, or
// that lacks a topic is found while the primary is well: by a plan, by the status, and by a
// controller.
func TestRealUnfitStandby(t *testing.T) {
	p := newKillPair(t)
	const topic = "unfit-topic"
	for _, cl := range p.clusters() {
		cl.CreateUser(t, "reader", "reader-secret")
		testkafka.Allow(t, cl, "reader", kadm.NewACLs().Topics(topic).Operations(kadm.OpRead, kadm.OpDescribe))
	}
	testkafka.Create(t, p.a, 2, 3, nil, topic)
	wrong := p.b.ClientProperties(t, "app", "wrong")
	reader := p.b.ClientProperties(t, "reader", "reader-secret")
	for _, tt := range []struct {
		name, login, kind string
		want              []string
		there             bool // b has the topic
	}{
		{name: "topic", login: p.admin["b"], kind: "topic", want: []string{topic, "b hasn't got it"}},
		{name: "credentials", login: wrong, kind: "unreachable", want: []string{"SASL_AUTHENTICATION_FAILED"}},
		{name: "rights", login: reader, kind: "rights", want: []string{topic, "b doesn't let the client write"}, there: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.there {
				testkafka.Create(t, p.b, 2, 3, nil, topic)
			}
			file := p.file(t, topic, filepath.Join(t.TempDir(), "register"), map[string]string{"a": p.admin["a"], "b": tt.login})
			if tt.kind == "rights" { // a fence, which is lifted, would be why
				file = without(t, file, `"fence":{"deny_writes":true},`)
			}
			holds := func(text string) {
				t.Helper()
				for _, want := range tt.want {
					if !strings.Contains(text, want) {
						t.Errorf("no %q in %s", want, text)
					}
				}
			}
			flags := []string{"--clusters", file, "--json"}
			doc := kdr(t, append(flags, "failover", "--to", "b", "--dry-run")...).want(t, 4).json(t)
			conflict := at(t, doc, "plan", "conflicts").([]any)[0]
			wantAt(t, conflict, tt.kind, "kind")
			o := kdr(t, "failover", "--to", "b", "--clusters", file).want(t, 4) // refused, not only said
			holds(o.stdout)
			if tt.kind == "unreachable" {
				status := kdr(t, append(flags, "status")...).want(t, 1).json(t)
				wantAt(t, at(t, status, "clusters").([]any)[0], true, "reachable")
				wantAt(t, at(t, status, "clusters").([]any)[1], false, "reachable")
				holds(at(t, at(t, status, "clusters").([]any)[1], "error").(string))
			}
			c := start(t, append(flags, "controller", "--metrics", "127.0.0.1:0")...)
			awaitPrinted(t, c, `"rehearsal":`)
			holds(c.stdout.String())
			awaitMetric(t, c, "kafkadr_failover_conflicts 1", `kafkadr_failover_active{cluster="a"} 1`)
			c.stop(t, syscall.SIGTERM).want(t, 130)
		})
	}
}

// without is a copy of a file without a text.
func without(t *testing.T, file, text string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	less := strings.Replace(string(raw), text, "", 1)
	if less == string(raw) {
		t.Fatalf("no %s in %s", text, raw)
	}
	path := filepath.Join(t.TempDir(), "clusters.json")
	if err := os.WriteFile(path, []byte(less), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
