package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/kafkadr/kafkadr/failover/drill"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A drill tells its story, and ends well.
func TestStory(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{"-scenario", "planned_switchover"}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"drill planned_switchover: passed", "active: standby", "0 lost, 0 doubled, 0 reordered", "RTO:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %s", want, out.String())
		}
	}
}

// One that costs more than it may is an error, and the evidence is printed all the same.
func TestFailedDrill(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.json")
	text := `{"name": "too_strict", "expect": "stay", "budgets": {"pause": "1ns"}, "settle": "100ms",
		"faults": [{"kind": "slow", "on": "standby", "latency": "1ms", "for": "100ms"}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{"-file", file, "-json"}); err == nil || !strings.Contains(err.Error(), "without an ack") {
		t.Error(err)
	}
	var e drill.Evidence
	if err := json.Unmarshal(out.Bytes(), &e); err != nil || e.Passed || e.Acked == 0 || e.Lost != 0 {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestUsage(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out, []string{"-list"}); err != nil || strings.Count(out.String(), "\n") != len(drill.Scenarios()) {
		t.Errorf("%v: %s", err, out.String())
	}
	for _, args := range [][]string{{"-scenario", "none"}, {"-file", "/none"}} {
		if err := run(t.Context(), &out, args); err == nil {
			t.Errorf("%q is no error", args)
		}
	}
}
