package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// following is a running kdr backup --follow.
type following struct {
	cmd            *exec.Cmd
	stdout, stderr output
	ended          chan struct{}
}

// output collects what a process prints.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// follow starts a follower.
func follow(t testing.TB, brokers, store string, args ...string) *following {
	t.Helper()
	return start(t, append([]string{"backup", "--brokers", brokers, "--store", store, "--follow", "--json"}, args...)...)
}

// start starts a run of the program that is ended with the test, if not before.
func start(t testing.TB, args ...string) *following {
	t.Helper()
	f := &following{cmd: command(t, context.WithoutCancel(t.Context()), nil, args...), ended: make(chan struct{})}
	f.cmd.Stdout, f.cmd.Stderr = &f.stdout, &f.stderr
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = f.cmd.Wait()
		close(f.ended)
	}()
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill()
		<-f.ended
	})
	return f
}

// stop sends a signal and waits for the end.
func (f *following) stop(t testing.TB, s os.Signal) outcome {
	t.Helper()
	_ = f.cmd.Process.Signal(s)
	return f.wait(t)
}

// wait waits for the end. A killed process has exit code -1.
func (f *following) wait(t testing.TB) outcome {
	t.Helper()
	select {
	case <-f.ended:
	case <-time.After(2 * time.Minute):
		t.Fatalf("kdr doesn't end; standard error: %s", f.stderr.String())
	}
	return outcome{f.cmd.ProcessState.ExitCode(), f.stdout.String(), f.stderr.String()}
}

// alive is an error once the process has ended.
func (f *following) alive() error {
	select {
	case <-f.ended:
		return fmt.Errorf("kdr ended: %s", f.stderr.String())
	default:
		return nil
	}
}

// waitForSnapshots waits until n snapshots are printed.
func (f *following) waitForSnapshots(t testing.TB, n int) {
	t.Helper()
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		if got := strings.Count(f.stdout.String(), "\n"); got < n {
			return errors.Join(fmt.Errorf("%d of %d snapshots", got, n), f.alive())
		}
		return nil
	})
}

// documents are those that were printed so far.
func (f *following) documents(t testing.TB) (docs []map[string]any) {
	t.Helper()
	for line := range strings.Lines(f.stdout.String()) {
		var doc map[string]any
		decode(t, line, &doc)
		docs = append(docs, doc)
	}
	return docs
}

var metricsLine = regexp.MustCompile(`serving metrics" addr=(\S+)`)

func (f *following) metricsAddr(t testing.TB) string {
	t.Helper()
	m := metricsLine.FindStringSubmatch(f.stderr.String())
	if m == nil {
		t.Fatalf("no metrics: %s", f.stderr.String())
	}
	return m[1]
}

// waitForRecords waits until so many records are archived, by the metrics.
func (f *following) waitForRecords(t testing.TB, n int) {
	t.Helper()
	addr := f.metricsAddr(t)
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		resp, err := http.Get("http://" + addr + "/metrics")
		if err != nil {
			return errors.Join(err, f.alive())
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if want := fmt.Sprintf("kafkadr_backup_records_total %d\n", n); !strings.Contains(string(body), want) {
			return errors.Join(err, fmt.Errorf("no %q in\n%s", want, body))
		}
		return nil
	})
}
