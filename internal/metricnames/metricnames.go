// Package metricnames holds metrics of all jobs to the table of docs/metrics.md, where their names,
// types, labels and units are written down once. It is for tests, and links no metrics library: it
// reads what a prometheus.Desc prints.
package metricnames

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Table is where the metrics are written down, from the module's root.
const Table = "docs/metrics.md"

// metric is a row of the table.
type metric struct{ kind, labels string }

var (
	rowRE   = regexp.MustCompile("^\\| `(kafkadr_[a-z0-9_]+)` \\| (counter|gauge) \\| ([a-z_, ]*|–) \\| (.+) \\|$")
	descRE  = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "((?:[^"\\]|\\.)*)"(?:, unit: "[^"]*")?, constLabels: \{\}, variableLabels: \{([^}]*)\}\}$`)
	nameRE  = regexp.MustCompile(`^kafkadr_(backup|mirror|failover)_[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	badUnit = regexp.MustCompile(`_(ms|millis|milliseconds|us|ns|minutes|hours|kb|mb|kib|mib|kilobytes|percent)(_total)?$`)
)

// Check holds what descriptions (each the text of a prometheus.Desc) say to the table, and that all
// of the table's metrics with the prefix are among them.
func Check(t testing.TB, prefix string, descriptions []string) {
	t.Helper()
	table := read(t)
	seen := map[string]bool{}
	for _, d := range descriptions {
		m := descRE.FindStringSubmatch(d)
		if m == nil {
			t.Errorf("no description of a metric: %s", d)
			continue
		}
		name, help, labels := m[1], m[2], strings.ReplaceAll(m[3], ",", ", ")
		if labels == "" {
			labels = "–"
		}
		seen[name] = true
		for _, wrong := range faults(name, help, kindOf(name)) {
			t.Errorf("%s: %s", name, wrong)
		}
		if row, ok := table[name]; !ok {
			t.Errorf("%s isn't in %s: | `%s` | %s | %s | %s |", name, Table, name, kindOf(name), labels, help)
		} else if row.labels != labels || row.kind != kindOf(name) {
			t.Errorf("%s: %s with labels %s; %s says %s, %s", name, kindOf(name), labels, Table, row.kind, row.labels)
		}
	}
	for name := range table {
		if strings.HasPrefix(name, prefix) && !seen[name] {
			t.Errorf("%s has %s, which isn't told", Table, name)
		}
	}
}

// kindOf follows from the name: what only grows is a counter and ends in _total.
func kindOf(name string) string {
	if strings.HasSuffix(name, "_total") {
		return "counter"
	}
	return "gauge"
}

// faults are what is wrong with a metric whatever the table says.
func faults(name, help, kind string) (wrong []string) {
	switch {
	case !nameRE.MatchString(name):
		wrong = append(wrong, "a name is kafkadr_, the job's name, and words in snake_case")
	case badUnit.MatchString(name):
		wrong = append(wrong, "units are seconds, bytes, records, offsets")
	case !strings.HasSuffix(help, "."):
		wrong = append(wrong, "the help is no sentence")
	case kind == "counter" != strings.HasSuffix(name, "_total"):
		wrong = append(wrong, "a counter, and nothing else, ends in _total")
	}
	return wrong
}

// read is the table.
func read(t testing.TB) map[string]metric {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root(t), Table))
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]metric{}
	var order []string
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		m := rowRE.FindStringSubmatch(line)
		if m == nil {
			if strings.HasPrefix(line, "| `kafkadr_") {
				t.Errorf("%s: not a row: %s", Table, line)
			}
			continue
		}
		if _, twice := table[m[1]]; twice {
			t.Errorf("%s has %s twice", Table, m[1])
		}
		order = append(order, m[1])
		table[m[1]] = metric{m[2], m[3]}
	}
	if len(table) == 0 || !slices.IsSorted(order) {
		t.Errorf("%s has %d metrics; they are sorted by name: %v", Table, len(table), slices.IsSorted(order))
	}
	return table
}

// root is the directory of go.work, above the test's package.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if _, err := os.Stat(filepath.Join(dir, Table)); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("no %s above the test", Table)
	return ""
}
