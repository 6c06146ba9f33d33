package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/failover/drill"
)

// scenarioFile writes a scenario that is over at once, with budgets as JSON.
func scenarioFile(t *testing.T, name, budgets string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".json")
	text := `{"name": "` + name + `", "expect": "stay", "settle": "50ms", "budgets": ` + budgets + `,
		"faults": [{"kind": "slow", "on": "standby", "latency": "1ms", "for": "50ms"}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDrill: a switch on command loses and doubles nothing, and says what it took.
func TestDrill(t *testing.T) {
	doc := kdr(t, "drill", "--scenario", "planned_switchover", "--max-rpo", "0", "--max-rto", "1m", "--json").want(t, 0).json(t)
	for name, want := range map[string]any{"scenario": "planned_switchover", "passed": true, "active": "standby", "rpo_records": 0.0, "lost": 0.0, "duplicated": 0.0, "reordered": 0.0, "skipped": 0.0} {
		wantAt(t, doc, want, name)
	}
	for _, phase := range []string{"closed", "opened", "first_ack", "first_consumed"} {
		if ms, ok := at(t, doc, "rto_ms", phase).(float64); !ok || ms < 0 {
			t.Errorf("rto_ms.%s: %v", phase, doc["rto_ms"])
		}
	}
	if acked := at(t, doc, "acked").(float64); acked == 0 {
		t.Error("nothing was acked")
	}
}

// TestDrillBudget: a drill that costs more than it may fails, whoever set the budget, and its
// evidence is printed all the same.
func TestDrillBudget(t *testing.T) {
	strict, fine := scenarioFile(t, "strict", `{"pause": "1ns"}`), scenarioFile(t, "fine", `{}`)
	for _, args := range [][]string{{"--scenario", strict}, {"--scenario", fine, "--max-pause", "1ns"}} {
		o := kdr(t, append(args, "drill", "--json")...).want(t, 1)
		if !strings.Contains(o.stderr, "without an ack") {
			t.Error(o.stderr)
		}
		doc := o.json(t)
		wantAt(t, doc, false, "passed")
		wantAt(t, doc, 0.0, "lost")
		if failures := at(t, doc, "failures").([]any); len(failures) != 1 {
			t.Error(failures)
		}
	}
	if o := kdr(t, "drill", "--scenario", strict).want(t, 1); !strings.Contains(o.stdout, "drill strict: FAILED") || !strings.Contains(o.stdout, "timeline:") {
		t.Error(o.stdout)
	}
	kdr(t, "drill", "--scenario", strict, "--max-pause", "1m").want(t, 0)
}

// TestDrillSeveral: one that fails doesn't keep the next from being drilled; it is printed whole,
// the others in a row each.
func TestDrillSeveral(t *testing.T) {
	args := []string{"drill", "--scenario", scenarioFile(t, "strict", `{"pause": "1ns"}`), "--scenario", scenarioFile(t, "fine", `{}`)}
	doc := kdr(t, append(args, "--json")...).want(t, 1).json(t)
	wantAt(t, doc, false, "passed")
	all := at(t, doc, "drills").([]any)
	if len(all) != 2 || len(at(t, doc, "not_done").([]any)) != 0 {
		t.Fatal(doc)
	}
	wantAt(t, all[0], false, "passed")
	wantAt(t, all[1], true, "passed")
	o := kdr(t, args...).want(t, 1)
	for _, want := range []string{"drill strict: FAILED", "SCENARIO", "\nstrict    NO", "\nfine      yes"} {
		if !strings.Contains(o.stdout, want) {
			t.Errorf("no %q in %s", want, o.stdout)
		}
	}
	if strings.Contains(o.stdout, "drill fine: ") {
		t.Error(o.stdout)
	}
}

// TestDrillList: what is listed as JSON can be drilled.
func TestDrillList(t *testing.T) {
	if o := kdr(t, "drill", "--list").want(t, 0); strings.Count(o.stdout, "\n") != len(drill.Scenarios())+1 || !strings.Contains(o.stdout, "mirror_behind") {
		t.Error(o.stdout)
	}
	var listed []map[string]any
	decode(t, kdr(t, "drill", "--list", "--json", "--scenario", "broker_lost", "--max-rto", "3s").want(t, 0).stdout, &listed)
	if len(listed) != 1 {
		t.Fatal(listed)
	}
	wantAt(t, listed[0], "broker_lost", "name")
	wantAt(t, listed[0], "3s", "budgets", "rto")
	path := filepath.Join(t.TempDir(), "s.json")
	text := strings.Trim(strings.TrimSpace(kdr(t, "drill", "--list", "--json", "--scenario", "broker_lost").want(t, 0).stdout), "[]")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := drillFlags{chosen: []string{path}, maxRPO: -1, lease: time.Second}
	a := &app{}
	if f.check(a); len(a.faults) > 0 || f.scenarios[0].Faults[0].Brokers[0] != 0 || f.scenarios[0].Faults[0].After != drill.Duration(time.Second) {
		t.Error(a.faults, f.scenarios)
	}
	doc := []map[string]any{}
	decode(t, kdr(t, "drill", "--list", "--json", "--scenario", "broker_lost", "--lease", "2s").want(t, 0).stdout, &doc)
	fault := at(t, doc[0], "faults").([]any)[0].(map[string]any)
	wantAt(t, fault, "4s", "after")
	wantAt(t, fault, "12s", "for")
}

// TestDrillFaults: all that is wrong is named at once, and nothing is drilled.
func TestDrillFaults(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad := write("bad.json", `{"name": "A B", "expect": 3, "colour": 1, "faults": [{"kind": "kill", "on": "primary", "after": "soon", "brokers": [7]}, {"kind": "zap", "on": "x", "for": 1}],
		"budgets": {"rto": true, "lots": 1}, "load": {"topics": "x", "rate": "fast"}}`)
	for _, c := range []struct {
		args string
		want []string
	}{
		{"drill --bogus --max-rto soon --max-rpo -1 --max-pause 0s --scenario none --scenario " + bad, []string{
			"unknown flag --bogus", "--max-rto", "--max-rpo", "--max-pause", `"none" is no built-in scenario`,
			"bad.json: unknown field colour", "unknown field budgets.lots", "expect: can't take number for a text", `invalid duration "soon"`, "faults[1].for: ", "budgets.rto: can't take bool",
			"load.topics: can't take string for a list", "load.rate: can't take string for a whole number", `name "A B"`, `kind "zap"`, `on "x"`, "faults[0].brokers: want 0 to 2",
		}},
		{"drill --lease 1ms", []string{"--lease"}},
		{"drill --scenario /nonesuch.json", []string{"/nonesuch.json"}},
		{"drill --scenario " + write("no.json", "{"), []string{"not JSON"}},
		{"drill --scenario " + write("list.json", "[]"), []string{"can't take array for an object"}},
		{"drill --scenario " + write("two.json", "{} {}"), []string{"more than one", "nothing happens"}},
		{"drill primary_killed", []string{`unexpected argument "primary_killed"`}},
	} {
		wantUsage(t, c.args, c.want...)
	}
}

// TestDrillSignal: at SIGTERM a drill ends soon, and says what wasn't done.
func TestDrillSignal(t *testing.T) {
	d := start(t, "drill", "--json", "--scenario", scenarioFile(t, "fine", `{}`), "--scenario", "register_unreachable", "--scenario", "both_down")
	d.waitForLog(t, "drilled")
	began := time.Now()
	o := d.stop(t, syscall.SIGTERM).want(t, 130)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v to end", took)
	}
	doc := o.json(t)
	wantAt(t, doc, false, "passed")
	if len(at(t, doc, "drills").([]any)) != 1 || len(at(t, doc, "not_done").([]any)) != 2 {
		t.Error(doc)
	}
}
