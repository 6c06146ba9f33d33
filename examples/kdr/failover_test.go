package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/mirror"
)

// clustersOf writes a clusters file of two clusters, a and b, with a short lease and a register in
// a directory, and begins its scope.
func clustersOf(t testing.TB, a, b testkafka.Cluster, more map[string]any) string {
	t.Helper()
	path := clustersFileOf(t, a, b, more)
	beginScope(t, path)
	return path
}

// beginScope begins the scope of a clusters file, as one was begun before epochs named their
// clusters.
func beginScope(t testing.TB, path string) {
	t.Helper()
	flag := clustersFlag{path: path}
	flag.check(&app{getenv: func(string) string { return "" }})
	first := register.Epoch{Active: flag.file.Clusters[0].Name, Lease: time.Duration(flag.file.Lease), By: "test"}
	if _, err := register.Begin(t.Context(), registerOf(t, path), flag.file.Scope, first); err != nil {
		t.Fatal(err)
	}
}

// clustersFileOf is clustersOf, of a scope that nobody has begun.
func clustersFileOf(t testing.TB, a, b testkafka.Cluster, more map[string]any) string {
	t.Helper()
	doc := map[string]any{
		"scope":    "shop",
		"register": map[string]any{"stores": []string{"file://" + filepath.Join(t.TempDir(), "register")}},
		"clusters": []any{map[string]any{"name": "a", "brokers": a.Addrs()}, map[string]any{"name": "b", "brokers": b.Addrs()}},
		"lease":    "2s",
	}
	for k, v := range more {
		doc[k] = v
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "clusters.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// at reads a field of a document by its path.
func at(t testing.TB, doc any, path ...string) any {
	t.Helper()
	for _, name := range path {
		m, ok := doc.(map[string]any)
		if !ok {
			t.Fatalf("no %s in %v", strings.Join(path, "."), doc)
		}
		doc = m[name]
	}
	return doc
}

func wantAt(t testing.TB, doc any, want any, path ...string) {
	t.Helper()
	if got := at(t, doc, path...); got != want {
		t.Errorf("%s is %v, want %v", strings.Join(path, "."), got, want)
	}
}

// mirrorBetween starts a mirror that follows the register.
func mirrorBetween(t testing.TB, clusters, from, to string) *following {
	t.Helper()
	return start(t, "mirror", "--clusters", clusters, "--from-name", from, "--to-name", to, "--discover", "200ms")
}

// TestFailoverThereAndBack: a planned switch drains the mirror, which ends by itself; so does the
// way back; nothing is lost.
func TestFailoverThereAndBack(t *testing.T) {
	from, to, _ := twoFakes(t, 100)
	thereAndBack(t, from, newSource(t, to, ""))
}

func thereAndBack(t *testing.T, from, to *source) {
	file := clustersOf(t, from, to, nil)
	flags := slices.Clip([]string{"--clusters", file, "--json"})
	doc := kdr(t, append(flags, "failover", "--planned", "--to", "b")...).want(t, 4).json(t)
	wantAt(t, at(t, doc, "plan", "conflicts").([]any)[0], "topic", "kind")
	m := mirrorBetween(t, file, "a", "b")
	awaitCopied(t, from, to, "orders", 3)
	kdr(t, append(flags, "failover", "--planned", "--to", "b", "--dry-run")...).want(t, 0)
	from.send("orders", 3, 50)
	doc = kdr(t, append(flags, "failover", "--planned", "--to", "b", "--reason", "a drill")...).want(t, 0).json(t)
	logPhases(t, doc)
	wantAt(t, doc, "switched", "report", "end")
	wantAt(t, doc, 0.0, "report", "rpo", "records")
	if o := m.wait(t).want(t, 0); !strings.Contains(o.stdout, "b is active since epoch 3") {
		t.Error(o.stdout)
	}
	wantSame(t, from, to, "orders", "payments", "empty")
	wantOffset(t, to, "billing", "orders", 50)

	kdr(t, append(flags, "failover", "--to", "b")...).want(t, 4)
	kdr(t, "mirror", "--clusters", file, "--from-name", "a", "--to-name", "b").want(t, 4).wantOneLine(t, "b is active")
	to.send("orders", 3, 50)
	m = mirrorBetween(t, file, "b", "a")
	awaitCopied(t, to, from, "orders", 3)
	status := kdr(t, append(flags, "status")...).want(t, 0).json(t)
	wantAt(t, status, "b", "active")
	wantAt(t, status, 3.0, "epoch")
	wantAt(t, at(t, status, "history").([]any)[1], "a drill", "reason")
	wantAt(t, at(t, status, "mirrors").([]any)[0], 0.0, "rpo", "records")
	if o := kdr(t, "status", "--clusters", file).want(t, 0); !strings.Contains(o.stdout, "a to b, planned") || !strings.Contains(o.stdout, "lost if the source were lost now: 0 records") {
		t.Error(o.stdout)
	}
	doc = kdr(t, append(flags, "failback")...).want(t, 0).json(t)
	wantAt(t, doc, "a", "report", "to")
	wantAt(t, doc, "switched", "report", "end")
	m.wait(t).want(t, 0)
	wantSameCommitted(t, to, from, "orders", "payments", "empty")
}

// TestFailoverSourceAway: with the source away, and no process that has looked at it before, what
// the standby lacks is what the mirror noted there last, and is held to the budget.
func TestFailoverSourceAway(t *testing.T) {
	from, to, _ := twoFakes(t, 100)
	file := clustersOf(t, from, newSource(t, to, ""), map[string]any{"budget": map[string]any{"records": 5}})
	flags := slices.Clip([]string{"--clusters", file, "--json"})
	began := time.Now()
	m := mirrorBetween(t, file, "a", "b")
	awaitCopied(t, from, to, "orders", 3)
	awaitCopied(t, from, to, "payments", 1)
	copied := time.Now()
	testkafka.Eventually(t, time.Minute, func(ctx context.Context) error {
		flows, err := mirror.Announced(ctx, mirror.Config{Source: from.Opts(), Target: to.Opts()})
		if err != nil || len(flows) != 1 || flows[0].LastLag == nil || flows[0].LastLag.At.Before(copied) || flows[0].LastLag.Records > 0 {
			return fmt.Errorf("%+v: %w", flows, err)
		}
		return nil
	})
	if err := m.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	m.wait(t)
	for _, broker := range from.Brokers() {
		from.Kill(t, broker)
	}
	status := kdr(t, append(flags, "status")...).want(t, 1).json(t)
	noted := at(t, status, "mirrors").([]any)[0]
	wantAt(t, noted, 0.0, "rpo", "records")
	if as, err := time.Parse(time.RFC3339, at(t, noted, "rpo", "at").(string)); err != nil || as.Before(began) || as.After(time.Now()) {
		t.Error(err, noted)
	}
	doc := kdr(t, append(flags, "failover", "--to", "b", "--dry-run")...).want(t, 0).json(t)
	wantAt(t, doc, 0.0, "plan", "lag", "records")
	doc = kdr(t, append(flags, "failover", "--to", "b", "--reason", "a is lost")...).want(t, 0).json(t)
	wantAt(t, doc, "switched", "report", "end")
	wantAt(t, doc, 0.0, "report", "rpo", "records")
	if as, err := time.Parse(time.RFC3339, at(t, doc, "report", "rpo", "at").(string)); err != nil || as.Before(began) {
		t.Error(err, doc)
	}
}

// TestFailoverForced: with the mirror dead, a forced switch says what is lost, and is held to the
// budget; the way back saves the tail first.
func TestFailoverForced(t *testing.T) {
	from, to, _ := twoFakes(t, 100)
	forcedAndBack(t, from, newSource(t, to, ""))
}

func forcedAndBack(t *testing.T, from, to *source) {
	file := clustersOf(t, from, to, map[string]any{"budget": map[string]any{"records": 1}})
	flags := slices.Clip([]string{"--clusters", file, "--json"})
	m := mirrorBetween(t, file, "a", "b")
	awaitCopied(t, from, to, "orders", 3)
	awaitCopied(t, from, to, "payments", 1)
	if err := m.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	m.wait(t)
	from.send("orders", 2, 3) // 3 of partitions 0 and 1 each: the tail
	doc := kdr(t, append(flags, "failover", "--to", "b")...).want(t, 4).json(t)
	wantAt(t, at(t, doc, "plan", "conflicts").([]any)[0], "budget", "kind")
	doc = kdr(t, append(flags, "failover", "--to", "b", "--max-rpo", "10", "--reason", "a is lost")...).want(t, 0).json(t)
	logPhases(t, doc)
	wantAt(t, doc, "switched", "report", "end")
	wantAt(t, doc, 6.0, "report", "rpo", "records")

	to.send("orders", 3, 10)
	doc = kdr(t, append(flags, "failback")...).want(t, 4).json(t)
	wantAt(t, at(t, doc, "plan", "conflicts").([]any)[0], "tail", "kind")
	tail := filepath.Join(t.TempDir(), "tail")
	prepare := append(flags, "failback", "--save-tail", tail, "--prepare")
	if doc := kdr(t, append(prepare, "--dry-run")...).want(t, 0).json(t); len(at(t, doc, "forked").([]any)) != 1 {
		t.Error(doc)
	}
	doc = kdr(t, prepare...).want(t, 0).json(t)
	wantAt(t, doc, 6.0, "tail", "records")
	doc = kdr(t, append(prepare, "--delete-forked")...).want(t, 0).json(t)
	wantAt(t, doc, 6.0, "tail", "records")
	if deleted := at(t, doc, "deleted").([]any); len(deleted) != 1 || deleted[0] != "orders" {
		t.Error(deleted)
	}
	lines, err := os.ReadFile(filepath.Join(tail, "tail", "shop", "3", "orders", "0.ndjson"))
	if n := strings.Count(string(lines), `"topic":"orders"`); err != nil || n != 3 {
		t.Error(n, err, string(lines))
	}
	m = mirrorBetween(t, file, "b", "a")
	awaitCopied(t, to, from, "orders", 3)
	doc = kdr(t, append(flags, "failback", "--save-tail", tail)...).want(t, 0).json(t)
	wantAt(t, doc, "switched", "report", "end")
	wantAt(t, doc, 6.0, "report", "tail", "records")
	m.wait(t).want(t, 0)
	wantSameCommitted(t, to, from, "orders", "payments", "empty")
}

// wantSameCommitted is wantSame for a target that has had records of its own: those of aborted
// transactions aren't looked at.
func wantSameCommitted(t testing.TB, from, to testkafka.Cluster, topics ...string) {
	t.Helper()
	if d := firstDifference(read(t, from, kgo.ReadCommitted(), topics...), read(t, to, kgo.ReadCommitted(), topics...)); d != "" {
		t.Error(d)
	}
}

func logPhases(t testing.TB, doc map[string]any) {
	t.Helper()
	t.Logf("rto_ms %v", at(t, doc, "report", "rto_ms"))
	for _, p := range at(t, doc, "report", "phases").([]any) {
		t.Logf("%v: %v ms, %v", at(t, p, "step"), at(t, p, "ms"), at(t, p, "outcome"))
	}
}

// TestFailoverPlannedResumed: a planned switch whose controller died is finished by the same
// command, though the mirror has drained its source and taken its flow back.
func TestFailoverPlannedResumed(t *testing.T) {
	from, to, _ := twoFakes(t, 100)
	file := clustersOf(t, from, to, nil)
	m := mirrorBetween(t, file, "a", "b")
	awaitCopied(t, from, to, "orders", 3)
	reg := registerOf(t, file)
	first, err := register.Latest(t.Context(), reg, "shop")
	if err == nil {
		_, err = register.Advance(t.Context(), reg, first, register.Epoch{From: "a", Target: "b", Switch: "one", Planned: true, By: "test"})
	}
	if err != nil {
		t.Fatal(err)
	}
	testkafka.Eventually(t, time.Minute, func(ctx context.Context) error {
		flows, err := mirror.Announced(ctx, mirror.Config{Source: from.Opts(), Target: to.Opts()})
		if err != nil || len(flows) > 0 {
			return fmt.Errorf("%d flows: %w", len(flows), err)
		}
		return nil
	})
	doc := kdr(t, "--clusters", file, "--json", "failover", "--planned", "--to", "b").want(t, 0).json(t)
	wantAt(t, doc, "switched", "report", "end")
	wantAt(t, doc, 0.0, "report", "rpo", "records")
	m.wait(t).want(t, 0)
	wantSame(t, from, to, "orders", "payments", "empty")
}

// registerOf opens a clusters file's register.
func registerOf(t testing.TB, file string) register.Register {
	t.Helper()
	a := &app{stdout: io.Discard, stderr: newScreen(os.Stderr), getenv: func(string) string { return "" }}
	a.log = a.newLogger()
	flag := clustersFlag{path: file}
	if flag.check(a); len(a.faults) > 0 {
		t.Fatal(a.faults)
	}
	reg, done, err := flag.file.Register.open(t.Context(), a, writing)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	return reg
}

// TestFailoverBudget: a flag changes its own bound of the file's budget, and leaves the other.
func TestFailoverBudget(t *testing.T) {
	file := control.Budget{Records: 1000, Age: time.Minute}
	for _, tt := range []struct {
		name  string
		flags failoverFlags
		of    *control.Budget
		want  *control.Budget
	}{
		{"none", failoverFlags{maxRPO: -1}, nil, nil},
		{"the file's", failoverFlags{maxRPO: -1}, &file, &file},
		{"records", failoverFlags{maxRPO: 5000}, &file, &control.Budget{Records: 5000, Age: time.Minute}},
		{"age", failoverFlags{maxRPO: -1, maxRPOAge: time.Hour}, &file, &control.Budget{Records: 1000, Age: time.Hour}},
		{"both", failoverFlags{maxRPO: 5, maxRPOAge: time.Second}, &file, &control.Budget{Records: 5, Age: time.Second}},
		{"age alone", failoverFlags{maxRPO: -1, maxRPOAge: time.Second}, nil, &control.Budget{Age: time.Second}},
		{"nothing", failoverFlags{maxRPO: 0}, &file, &control.Budget{}},
		{"nothing, whatever its age", failoverFlags{maxRPO: 0, maxRPOAge: time.Second}, nil, &control.Budget{}},
		{"unknown", failoverFlags{maxRPO: -1, allowUnknown: true}, &file, &control.Budget{Records: 1000, Age: time.Minute, AllowUnknown: true}},
		{"unknown by the file", failoverFlags{maxRPO: 1}, &control.Budget{AllowUnknown: true}, &control.Budget{Records: 1, AllowUnknown: true}},
	} {
		of := tt.of
		if of != nil {
			clone := *of
			of = &clone
		}
		got := tt.flags.budget(of)
		if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestFailoverInterrupted: who interrupts a switch before it has begun was not refused by a plan.
func TestFailoverInterrupted(t *testing.T) {
	from, to := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	file := clustersOf(t, from, to, nil)
	for range 16 { // what is found ended first is by chance
		ctx, cancel := context.WithCancelCause(t.Context())
		out := writerFunc(func(p []byte) (int, error) { cancel(errInterrupted); return len(p), nil }) // the plan is printed
		if code := execute(ctx, []string{"failover", "--clusters", file, "--to", "b"}, out, newScreen(io.Discard), func(string) string { return "" }); code != exitInterrupted {
			t.Fatalf("exit code %d, want %d", code, exitInterrupted)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestFailoverDryRun: nothing is written.
func TestFailoverDryRun(t *testing.T) {
	from, to := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	dir := t.TempDir()
	file := clustersOf(t, from, to, map[string]any{"register": map[string]any{"stores": []string{"file://" + dir}}})
	before := tree(t, dir)
	kdr(t, "failover", "--clusters", file, "--to", "b", "--dry-run").want(t, 0)
	if after := tree(t, dir); after != before {
		t.Errorf("%s\nwas\n%s", after, before)
	}
}

// TestStatusPaths: a first path that hangs takes no time from the others.
func TestStatusPaths(t *testing.T) {
	cluster := testkafka.Fake(t, testkafka.Options{})
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hangs.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), lookFor)
	defer cancel()
	got := lookAt(ctx, failover.Cluster{Name: "a", Opts: []kgo.Opt{kgo.SeedBrokers(hangs.Addr().String())}, Paths: [][]kgo.Opt{cluster.Opts()}}, "a")
	if !got.Reachable || !got.Active || got.Error != "" {
		t.Errorf("%+v", got)
	}
}
