// Command gotest runs go test in every module of go.work, prints what go test prints, and at the end what was skipped and how to have it.
//
//	go run ./internal/tools/gotest [flags of go test] [packages]
//
// Packages default to ./... of each module; those that are given are taken from the working directory. It exits with 1 if tests fail.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	args := os.Args[1:]
	dirs := []string{"."}
	if !slices.ContainsFunc(args, isPackage) {
		args = append(args, "./...")
		var err error
		if dirs, err = modules(); err != nil {
			fmt.Fprintln(os.Stderr, "gotest:", err)
			os.Exit(1)
		}
	}
	r := &report{out: os.Stdout, skips: map[string][]string{}, tests: map[string]*strings.Builder{}}
	failed := 0
	for _, dir := range dirs {
		if err := r.run(dir, append([]string{"test", "-json"}, args...)); err != nil {
			fmt.Fprintf(os.Stderr, "gotest: %s: %v\n", dir, err)
			failed++
		}
	}
	r.summary()
	if failed > 0 {
		os.Exit(1)
	}
}

// modules are the directories of go.work's modules.
func modules() ([]string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	return strings.Fields(string(out)), err
}

func isPackage(arg string) bool { return strings.HasPrefix(arg, "./") }

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, Test, Output string
}

// report prints events as go test without -v would, and collects skips by what they say.
type report struct {
	out    io.Writer
	skips  map[string][]string
	tests  map[string]*strings.Builder // output of tests that haven't ended
	passed int
}

func (r *report) run(dir string, args []string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
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
	return cmd.Wait()
}

func (r *report) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(r.out, line)
		return
	}
	r.event(e)
}

func (r *report) event(e event) {
	key := e.Package + " " + e.Test
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.out, e.Output)
	case e.Action == "output" && e.Test == "":
		if e.Output != "PASS\n" {
			fmt.Fprint(r.out, e.Output)
		}
	case e.Action == "output":
		if r.tests[key] == nil {
			r.tests[key] = &strings.Builder{}
		}
		r.tests[key].WriteString(e.Output)
	case e.Action == "fail" && e.Test == "":
		r.unfinished(e.Package)
	case e.Test == "":
	case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
		r.end(e, key)
	}
}

func (r *report) end(e event, key string) {
	text := ""
	if b := r.tests[key]; b != nil {
		text = b.String()
	}
	delete(r.tests, key)
	switch e.Action {
	case "fail":
		fmt.Fprint(r.out, text)
	case "skip":
		r.skips[reason(text)] = append(r.skips[reason(text)], short(e.Package)+" "+e.Test)
	case "pass":
		r.passed++
	}
}

// unfinished prints what tests said that never ended: the package panicked or was killed.
func (r *report) unfinished(pkg string) {
	for key, b := range r.tests {
		if strings.HasPrefix(key, pkg+" ") {
			fmt.Fprint(r.out, b.String())
			delete(r.tests, key)
		}
	}
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

func short(pkg string) string { return strings.TrimPrefix(pkg, "github.com/kafkadr/kafkadr/") }

func (r *report) summary() {
	fmt.Fprintf(r.out, "\n%d tests passed", r.passed)
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
