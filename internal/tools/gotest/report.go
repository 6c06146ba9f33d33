package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const module = "github.com/kafkadr/kafkadr"

// moreCases is the subtest that skips itself where a test runs the first few of its cases in the
// first pass (testpass.Few). The second pass runs the test with all of them.
const moreCases = "/more_cases"

// event is a line of go test -json; see go doc test2json.
type event struct {
	Time                          time.Time
	Action, Package, Test, Output string
}

// report prints events as go test without -v would, and collects skips by what they say. Its
// methods may be called by several goroutines.
type report struct {
	start time.Time

	mu      sync.Mutex
	out     io.Writer
	skips   map[string][]string         // tests by reason
	later   map[string][]string         // by package: tests that start other processes
	output  map[string]*strings.Builder // of tests that haven't ended
	running map[string]time.Time        // packages, and tests as "package test"
	passed  int
	failed  []string
}

func newReport(out io.Writer) *report {
	return &report{start: time.Now(), out: out, skips: map[string][]string{}, later: map[string][]string{},
		output: map[string]*strings.Builder{}, running: map[string]time.Time{}}
}

// say prints a line of gotest's own.
func (r *report) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format+"\n", args...)
}

// run runs go with env beyond its own, and says whether it ended well.
func (r *report) run(env, args []string) bool {
	cmd := exec.Command("go", args...)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.say("gotest: %v", err)
		return false
	}
	in := bufio.NewReader(stdout)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			r.line(line)
		}
		if err != nil {
			break
		}
	}
	return cmd.Wait() == nil
}

func (r *report) line(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(r.out, line)
		return
	}
	if e.Test == "" {
		r.packageEvent(e)
	} else {
		r.testEvent(e)
	}
}

func (r *report) packageEvent(e event) {
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "start":
		r.running[e.Package] = e.Time
		fmt.Fprintf(r.out, "start\t%s\n", e.Package)
	case "output":
		if e.Output != "PASS\n" {
			fmt.Fprint(r.out, e.Output)
		}
	case "pass", "skip":
		r.endPackage(e.Package)
	case "fail":
		r.failed = append(r.failed, short(e.Package))
		r.endPackage(e.Package)
	}
}

// endPackage prints what those tests said that never ended: the package panicked or was killed.
func (r *report) endPackage(pkg string) {
	delete(r.running, pkg)
	for _, key := range slices.Sorted(maps.Keys(r.output)) {
		if strings.HasPrefix(key, pkg+" ") {
			fmt.Fprint(r.out, r.output[key])
			delete(r.output, key)
			delete(r.running, key)
		}
	}
}

func (r *report) testEvent(e event) {
	key := e.Package + " " + e.Test
	if r.output[key] == nil {
		r.output[key] = &strings.Builder{}
	}
	switch e.Action {
	case "run":
		r.running[key] = e.Time
	case "output":
		r.output[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		r.endTest(e, r.output[key].String())
		delete(r.output, key)
		delete(r.running, key)
	}
}

func (r *report) endTest(e event, text string) {
	switch e.Action {
	case "fail":
		fmt.Fprint(r.out, text)
		r.failed = append(r.failed, short(e.Package)+" "+e.Test)
	case "skip":
		why := reason(text)
		if strings.HasPrefix(why, inProcess) {
			r.later[e.Package] = append(r.later[e.Package], strings.TrimSuffix(e.Test, moreCases))
		} else {
			r.skips[why] = append(r.skips[why], short(e.Package)+" "+e.Test)
		}
	case "pass":
		r.passed++
	}
}

// pattern is the -run of exactly those tests and subtests.
func pattern(tests []string) string {
	var all []string
	for _, test := range tests {
		var names []string
		for name := range strings.SplitSeq(test, "/") {
			names = append(names, "^"+regexp.QuoteMeta(name)+"$")
		}
		all = append(all, strings.Join(names, "/"))
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "|")
}

// reason is what a skipped test says, without the lines of the framework and the place.
func reason(text string) string {
	var said []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ") {
			continue
		}
		if place, rest, ok := strings.Cut(line, ": "); ok && strings.Contains(place, ".go:") {
			line = rest
		}
		said = append(said, line)
	}
	if len(said) == 0 {
		return "(no reason given)"
	}
	return said[len(said)-1]
}

func short(pkg string) string { return strings.TrimPrefix(pkg, module+"/") }

// heartbeats prints what is running, every so often, until stop is called.
func (r *report) heartbeats(every time.Duration) (stop func()) {
	done := make(chan struct{})
	ticks := time.NewTicker(every)
	go func() {
		defer ticks.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-ticks.C:
				r.heartbeat(now)
			}
		}
	}()
	return func() { close(done) }
}

// heartbeat names each running package with the longest of its running tests.
func (r *report) heartbeat(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	age := func(key string) time.Duration { return now.Sub(r.running[key]).Round(time.Second) }
	var all []string
	for _, key := range slices.Sorted(maps.Keys(r.running)) {
		if pkg, test, ok := strings.Cut(key, " "); !ok {
			all = append(all, fmt.Sprintf("%s (%s)", short(pkg), age(key)))
		} else if len(all) > 0 && !strings.Contains(test, "/") {
			all[len(all)-1] += fmt.Sprintf(" %s (%s)", test, age(key))
		}
	}
	if len(all) == 0 {
		all = []string{"building"}
	}
	fmt.Fprintf(r.out, "%6s\t%s\n", now.Sub(r.start).Round(time.Second), strings.Join(all, ", "))
}

func (r *report) summary() {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(r.out)
	if len(r.failed) > 0 {
		fmt.Fprintf(r.out, "failed: %s\n", strings.Join(r.failed, ", "))
	}
	fmt.Fprintf(r.out, "%d tests passed in %s", r.passed, time.Since(r.start).Round(time.Second))
	if len(r.skips) == 0 {
		fmt.Fprintln(r.out, ", none was skipped")
		return
	}
	n := 0
	for _, tests := range r.skips {
		n += len(tests)
	}
	fmt.Fprintf(r.out, ", %d skipped:\n", n)
	for _, why := range slices.Sorted(maps.Keys(r.skips)) {
		fmt.Fprintf(r.out, "  %s\n      %s\n", why, strings.Join(r.skips[why], ", "))
	}
}
