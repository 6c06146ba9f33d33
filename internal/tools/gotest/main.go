// Command gotest runs the tests of every module of go.work with go test. It is the one test
// command: make test and .ci/run both run it, and it decides by itself how.
//
//	go run ./internal/tools/gotest [flags of go test] [packages]
//
// It runs in two passes:
//
//   - in process: every package with the race detector (where cgo works), as many at once as there
//     are processors. Tests that start other processes skip themselves (testkafka.OtherProcesses), and
//     so do those in which the race detector finds nothing (testpass.NoRaces); tests with many cases
//     run a few of them (testpass.Few).
//   - the rest, without the race detector: the tests that skipped themselves, real Kafka clusters
//     among them, and those with more cases. Two packages run at once.
//
// A flag that is given wins over the one gotest chooses. Where -race is given, or a flag that
// has to see all tests in one run (-bench, -coverprofile …), there is one pass.
//
// Packages default to ./... of each module; those that are given are taken from the working
// directory. While tests run it prints each package's start, go test's own closing lines, and
// every 30 s what is running; at the end what was skipped and how to have it. It exits with 1 if
// tests fail.
package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// inProcess is the variable that makes tests which start other processes skip themselves; their
// reason starts with its name.
const inProcess = "KAFKADR_IN_PROCESS"

// Defaults of go test's flags.
const (
	// timeout of a package's tests in one pass.
	timeout = "20m"
	// clusterPackages is how many packages run at once in the second pass.
	clusterPackages = 2
)

func main() {
	c, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		os.Exit(1)
	}
	r := newReport(os.Stdout)
	stop := r.heartbeats(30 * time.Second)
	ok := run(c, r, raceWorks())
	stop()
	r.summary()
	if !ok {
		os.Exit(1)
	}
}

// call is what gotest was called with.
type call struct {
	flags    []string // of go test
	packages []string
	args     []string // -args and all behind it, for the test binaries
}

func parse(args []string) (call, error) {
	var c call
	if i := slices.Index(args, "-args"); i >= 0 {
		args, c.args = args[:i], args[i:]
	}
	for _, a := range args {
		if isPackage(a) {
			c.packages = append(c.packages, a)
		} else {
			c.flags = append(c.flags, a)
		}
	}
	if len(c.packages) > 0 {
		return c, nil
	}
	var err error
	c.packages, err = modules()
	return c, err
}

func isPackage(arg string) bool {
	return arg == "." || strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "../") || strings.HasPrefix(arg, module)
}

// modules are the patterns of all packages of go.work's modules.
func modules() ([]string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	wd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	var patterns []string
	for _, dir := range strings.Fields(string(out)) {
		rel, err := filepath.Rel(wd, dir)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, "./"+filepath.ToSlash(filepath.Join(rel, "...")))
	}
	return patterns, nil
}

// has says whether one of the flags is given, as -flag, --flag or -flag=value.
func (c call) has(names ...string) bool {
	return slices.ContainsFunc(c.flags, func(flag string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
		return strings.HasPrefix(flag, "-") && slices.Contains(names, strings.TrimPrefix(name, "test."))
	})
}

// onePass says that all tests run in one go test, as it is told.
func (c call) onePass() bool {
	return c.has("race", "bench", "fuzz", "list", "c", "o", "cover", "coverprofile", "cpuprofile", "memprofile", "trace", "n", "x")
}

// goTest are the arguments of go test: defaults first, so that a flag that was given wins, and more
// last, which wins over all.
func (c call) goTest(packages []string, defaults []string, more ...string) []string {
	return slices.Concat([]string{"test", "-json", "-timeout", timeout}, defaults, c.flags, more, packages, c.args)
}

// raceWorks says whether this machine builds with the race detector, which takes cgo.
func raceWorks() bool { return exec.Command("go", "build", "-race", "runtime/cgo").Run() == nil }

// run runs the passes and says whether all tests passed.
func run(c call, r *report, race bool) bool {
	if c.onePass() {
		return r.run(nil, c.goTest(c.packages, nil))
	}
	var defaults []string
	how := "without the race detector, which needs cgo (gcc)"
	if race {
		defaults, how = []string{"-race"}, "with the race detector"
	}
	r.say("== tests in process, %s", how)
	ok := r.run([]string{inProcess + "=1"}, c.goTest(largestFirst(c.packages), defaults))
	r.say("== the rest, without the race detector: other processes (Kafka, MinIO, kdr …) and all cases, %d packages at once", clusterPackages)
	return r.runLater(c) && ok
}

// runLater runs the tests that have skipped themselves, each package with a go test of its own.
func (r *report) runLater(c call) bool {
	var wg sync.WaitGroup
	slots := make(chan struct{}, clusterPackages)
	failed := make(chan string, len(r.later))
	for _, pkg := range byCount(r.later) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if !r.run([]string{inProcess + "="}, c.goTest([]string{pkg}, nil, "-run", pattern(r.later[pkg]))) {
				failed <- pkg
			}
		})
	}
	wg.Wait()
	return len(failed) == 0
}

// byCount are the packages, those with most tests first: what runs long should start early.
func byCount(tests map[string][]string) []string {
	var pkgs []string
	for pkg := range tests {
		pkgs = append(pkgs, pkg)
	}
	slices.SortFunc(pkgs, func(a, b string) int {
		if n := len(tests[b]) - len(tests[a]); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	return pkgs
}

// largestFirst are the packages that patterns stand for, those with most text in their tests first:
// what runs long should start early. Patterns that go list doesn't know are left to go test.
func largestFirst(patterns []string) []string {
	const format = "{{.ImportPath}}\t{{.Dir}}\t{{join .TestGoFiles \"\\t\"}}\t{{join .XTestGoFiles \"\\t\"}}"
	out, err := exec.Command("go", append([]string{"list", "-f", format}, patterns...)...).Output()
	if err != nil {
		return patterns
	}
	sizes := map[string]int64{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		sizes[fields[0]] = 0
		for _, name := range fields[2:] {
			if info, err := os.Stat(filepath.Join(fields[1], name)); err == nil {
				sizes[fields[0]] += info.Size()
			}
		}
	}
	return slices.SortedFunc(maps.Keys(sizes), func(a, b string) int {
		return cmp.Or(cmp.Compare(sizes[b], sizes[a]), strings.Compare(a, b))
	})
}
