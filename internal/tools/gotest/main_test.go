package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name    string
		args    []string
		onePass bool
		goTest  []string // with the default -d, and -run later behind
	}{
		{"packages", []string{"./a", "."}, false,
			[]string{"test", "-json", "-timeout", timeout, "-d", "-run", "later", "./a", "."}},
		{"a given flag comes behind the default", []string{"-timeout", "1h", "-run", "X/Y", "./a"}, false,
			[]string{"test", "-json", "-timeout", timeout, "-d", "-timeout", "1h", "-run", "X/Y", "-run", "later", "./a"}},
		{"flags behind packages", []string{"github.com/kafkadr/kafkadr/mirror", "-v"}, false,
			[]string{"test", "-json", "-timeout", timeout, "-d", "-v", "-run", "later", "github.com/kafkadr/kafkadr/mirror"}},
		{"arguments of the test", []string{"./a", "-args", "./b", "-race"}, false,
			[]string{"test", "-json", "-timeout", timeout, "-d", "-run", "later", "./a", "-args", "./b", "-race"}},
		{"-race", []string{"./a", "-race"}, true, nil},
		{"-race=false", []string{"-race=false", "./a"}, true, nil},
		{"-bench", []string{"-bench", ".", "./a"}, true, nil},
		{"--coverprofile=f", []string{"--coverprofile=f", "./a"}, true, nil},
		{"-test.fuzz", []string{"-test.fuzz=X", "./a"}, true, nil},
		{"a value isn't a flag", []string{"-run", "race", "./a"}, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parse(c.args)
			if err != nil {
				t.Fatal(err)
			}
			if got.onePass() != c.onePass {
				t.Errorf("one pass: %v, want %v", got.onePass(), c.onePass)
			}
			if args := got.goTest(got.packages, []string{"-d"}, "-run", "later"); c.goTest != nil && !slices.Equal(args, c.goTest) {
				t.Errorf("go %q, want %q", args, c.goTest)
			}
		})
	}
}

// TestParseModules: without packages all modules of go.work are tested.
func TestParseModules(t *testing.T) {
	t.Chdir("../../..")
	c, err := parse([]string{"-run", "X"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"./...", "./examples/kdr/...", "./mirror/mirrorprom/...", "./failover/failoverprom/..."} {
		if !slices.Contains(c.packages, want) {
			t.Errorf("%q isn't among %q", want, c.packages)
		}
	}
}

// The packages that TestRun runs. What they print of their own tells which pass it is.
var packages = map[string]string{
	"go.mod": "module x\n\ngo 1.26\n",

	"race/on.go":  "//go:build race\n\npackage race\n\nconst On = true\n",
	"race/off.go": "//go:build !race\n\npackage race\n\nconst On = false\n",

	"good/good_test.go": `package good
import ("os"; "testing"; "x/race")
func later(t *testing.T) {
	if os.Getenv("KAFKADR_IN_PROCESS") != "" { t.Skip("KAFKADR_IN_PROCESS is set") }
	if race.On { t.Error("the race detector is on beside other processes") }
}
func TestInProcess(t *testing.T) {
	if race.On != (os.Getenv("WANT_RACE") != "") { t.Errorf("race detector: %v", race.On) }
	if os.Getenv("KAFKADR_IN_PROCESS") == "" { t.Error("ran in both passes") }
}
func TestReal(t *testing.T) { later(t) }
func TestBoth(t *testing.T) {
	t.Run("fake", func(t *testing.T) {
		if os.Getenv("KAFKADR_IN_PROCESS") == "" { t.Error("ran in both passes") }
	})
	t.Run("real|a.b", later)
}
func TestNeeds(t *testing.T) { later(t); t.Skip("needs kcat: apt-get install kcat") }
`,
	"bad/bad_test.go": `package bad
import "testing"
func TestBad(t *testing.T) { t.Error("broken") }
`,
	"killed/killed_test.go": `package killed
import ("fmt"; "os"; "syscall"; "testing")
func TestKilled(t *testing.T) { fmt.Println("last words"); syscall.Kill(os.Getpid(), syscall.SIGKILL) }
`,
	"broken/broken_test.go": "package broken\n\nimport \"testing\"\n\nfunc TestX(*testing.T) { undefined() }\n",
	"slow/slow_test.go": `package slow
import "testing"
func TestSlow(t *testing.T) { select {} }
`,
	"later/later_test.go": `package later
import ("os"; "testing")
func TestReal(t *testing.T) {
	if os.Getenv("KAFKADR_IN_PROCESS") != "" { t.Skip("KAFKADR_IN_PROCESS is set") }
	t.Error("no cluster")
}
`,
	"cases/cases_test.go": `package cases
import ("os"; "testing")
func TestMany(t *testing.T) {
	if os.Getenv("KAFKADR_IN_PROCESS") != "" {
		t.Run("more cases", func(t *testing.T) { t.Skip("KAFKADR_IN_PROCESS is set") })
		return
	}
	t.Run("second", func(t *testing.T) { t.Error("the second case") })
}
`,
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	for name, text := range packages {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	t.Setenv(inProcess, "1") // as gotest's own tests have it in the first pass
	race := raceWorks()
	for _, c := range []struct {
		args []string
		ok   bool
		says []string
	}{
		{[]string{"./good"}, true, []string{"start\tx/good\n", "ok  \tx/good\t", "6 tests passed", "1 skipped:\n  needs kcat"}},
		{[]string{"-run", "TestReal", "./good"}, true, []string{"1 tests passed in"}},
		{[]string{"./good", "./bad"}, false, []string{"ok  \tx/good\t", "broken", "FAIL\tx/bad\t", "failed: x/bad TestBad, x/bad\n"}},
		{[]string{"./killed"}, false, []string{"last words", "signal: killed", "FAIL\tx/killed\t", "failed: x/killed\n"}},
		{[]string{"./broken"}, false, []string{"undefined: undefined", "FAIL\tx/broken [build failed]"}},
		{[]string{"-timeout", "1s", "./slow"}, false, []string{"panic: test timed out after 1s", "TestSlow", "FAIL\tx/slow\t"}},
		{[]string{"./later"}, false, []string{"ok  \tx/later\t", "no cluster", "FAIL\tx/later\t", "failed: x/later TestReal"}},
		{[]string{"./cases"}, false, []string{"ok  \tx/cases\t", "the second case", "failed: x/cases TestMany/second"}},
		{[]string{"./nowhere"}, false, nil},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			if race {
				t.Setenv("WANT_RACE", "1")
			}
			call, err := parse(c.args)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			r := newReport(&out)
			if ok := run(call, r, race); ok != c.ok {
				t.Errorf("passed: %v, want %v", ok, c.ok)
			}
			r.summary()
			for _, text := range c.says {
				if !strings.Contains(out.String(), text) {
					t.Errorf("doesn't say %q", text)
				}
			}
			if t.Failed() {
				t.Log(out.String())
			}
		})
	}
}

func TestLargestFirst(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module x\n", "a/a.go": "package a\n", "b/b_test.go": "package b\n",
		"c/c_test.go": "package c\n", "c/x_test.go": "package c_test\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	if got, want := largestFirst([]string{"./..."}), []string{"x/c", "x/b", "x/a"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := largestFirst([]string{"./nowhere"}); !slices.Equal(got, []string{"./nowhere"}) {
		t.Errorf("%v", got)
	}
}
