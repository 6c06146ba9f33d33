package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// pool holds the real cluster that tests share as a source; targets come and go.
var pool testkafka.Pool

// buildDir is where the binary of this test run lies.
var buildDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "kdr-test-") })

// binary builds kdr, once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := buildDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kdr")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return path, nil
})

func TestMain(m *testing.M) {
	if spec := os.Getenv(processEnv); spec != "" {
		os.Exit(processMain(spec))
	}
	code := pool.Run(m.Run)
	if dir, err := buildDir(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// outcome is how a run of the program ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// command makes a run of the program, with env beyond the test's own.
func command(t testing.TB, ctx context.Context, env []string, args ...string) *exec.Cmd {
	t.Helper()
	testkafka.OtherProcesses(t)
	path, err := binary()
	if err != nil {
		t.Fatalf("go build: %v", err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// kdr runs the program to its end.
func kdr(t testing.TB, args ...string) outcome {
	t.Helper()
	return kdrEnv(t, nil, args...)
}

func kdrEnv(t testing.TB, env []string, args ...string) outcome {
	t.Helper()
	cmd := command(t, t.Context(), env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// want fails the test unless the run ended with the exit code.
func (o outcome) want(t testing.TB, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code %d, want %d\nstandard output: %s\nstandard error: %s", o.code, code, o.stdout, o.stderr)
	}
	return o
}

// json reads the one document on standard output.
func (o outcome) json(t testing.TB) map[string]any {
	t.Helper()
	var doc map[string]any
	decode(t, o.stdout, &doc)
	return doc
}

// decode reads one JSON document that is all of the text.
func decode(t testing.TB, text string, to any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	if err := dec.Decode(to); err != nil {
		t.Fatalf("not a JSON document: %v\n%s", err, text)
	}
	if dec.More() {
		t.Fatalf("more than one JSON document:\n%s", text)
	}
}
