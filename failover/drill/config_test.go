package drill

import (
	"strings"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	_, err := Config{Lease: -1}.complete()
	for _, want := range []string{"name", "two Clusters", "no Replication", "negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	s, _ := Find("primary_killed")
	if _, err := (Config{Scenario: s}).complete(); !strings.Contains(err.Error(), "no Injector") {
		t.Error(err)
	}
	s, _ = Find("register_unreachable")
	if _, err := (Config{Scenario: s}).complete(); strings.Contains(err.Error(), "no Injector") {
		t.Error(err)
	}
	if d := Duration(0).or(time.Second); d != time.Second {
		t.Error(d)
	}
}
