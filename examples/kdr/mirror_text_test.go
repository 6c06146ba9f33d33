package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestMirrorFaultsByFlag: faults of the configuration have the flag's name.
func TestMirrorFaultsByFlag(t *testing.T) {
	o := kdr(t, "mirror", "--from", "a:1", "--to", "b:1", "--prefix", "a/b", "--name", "x*", "--writes", "all", "--policy", "truncated=go_on", "--memory", "1KiB").want(t, 2)
	for _, flag := range []string{"--prefix", "--name", "--writes", "--policy", "--memory"} {
		if !regexp.MustCompile(`(?m)^  ` + flag + `:? `).MatchString(o.stderr) {
			t.Errorf("no fault begins with %s:\n%s", flag, o.stderr)
		}
	}
}

// TestMirrorNotBegun: what failed before anything was mirrored prints no document.
func TestMirrorNotBegun(t *testing.T) {
	from := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	from.fill(5)
	to := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	o := kdr(t, "mirror", "--from", from.brokers(), "--to", to.brokers(), "--topics", "nonesuch", "--once", "--json").want(t, 1)
	if o.stdout != "" || !strings.Contains(o.stderr, "nonesuch") {
		t.Errorf("%+v", o)
	}
}

// TestStatusCopyGone: a copy that is gone from the standby isn't said to be 0 records behind.
func TestStatusCopyGone(t *testing.T) {
	from := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	from.fill(5)
	to := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	kdr(t, "mirror", "--from", from.brokers(), "--to", to.brokers(), "--once").want(t, 0)
	if _, err := to.adm.DeleteTopics(t.Context(), "orders"); err != nil {
		t.Fatal(err)
	}
	o := kdr(t, "status", "--from", from.brokers(), "--to", to.brokers()).want(t, 0)
	if !regexp.MustCompile(`(?m)^orders +orders +\d+ +0 +unknown +unknown$`).MatchString(o.stdout) || !strings.Contains(o.stdout, "aren't on the standby") {
		t.Errorf("%s", o.stdout)
	}
}
