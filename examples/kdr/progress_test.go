package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDescribe(t *testing.T) {
	for _, c := range []struct {
		now     amounts
		elapsed time.Duration
		want    string
	}{
		{amounts{}, 0, "0 B"},
		{amounts{records: 10, totalRecords: 40, bytes: 1 << 20}, 2 * time.Second, "10/40 records (25%), 1.0 MiB, 512.0 KiB/s, 6s left"},
		{amounts{bytes: 1 << 20, totalBytes: 4 << 20, extra: "1/2 objects"}, time.Second, "1.0 MiB/4.0 MiB, 1.0 MiB/s, 3s left, 1/2 objects"},
		{amounts{extra: "3/9 groups"}, time.Second, "3/9 groups"},
		{amounts{records: 7, bytes: 100}, time.Second, "7 records, 100 B, 100 B/s"},
	} {
		if got := describe(c.now, c.elapsed); got != c.want {
			t.Errorf("describe(%+v) = %q, want %q", c.now, got, c.want)
		}
	}
}

// TestProgressLogs: not on a terminal, a log line comes every 10 s.
func TestProgressLogs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		a := &app{stderr: newScreen(&out)}
		a.log = a.newLogger()
		p := a.startProgress("backup")
		time.Sleep(35 * time.Second) //nolint:forbidigo // virtual time
		p.end()
		p.end()
		if got := strings.Count(out.String(), "progress="); got != 3 {
			t.Errorf("%d log lines in 35 s:\n%s", got, out.String())
		}
	})
}

// TestProgressLine: on a terminal, one line changes, log lines go above it,
// and it is gone at the end.
func TestProgressLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		a := &app{stderr: newScreen(&out)}
		a.stderr.terminal = true
		a.log = a.newLogger()
		p := a.startProgress("restore")
		time.Sleep(700 * time.Millisecond) //nolint:forbidigo // virtual time
		a.log.Warn("careful")
		p.end()
		text := out.String()
		if !strings.HasPrefix(text, "restore: 0 B") || !strings.Contains(text, "\r\x1b[Ktime=") || !strings.HasSuffix(text, "careful\n") {
			t.Errorf("%q", text)
		}
	})
}

func TestMessage(t *testing.T) {
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want string
	}{
		{t.Context(), errors.Join(errors.New("a"), errors.New("b")), "a; b"},
		{t.Context(), &usageError{faults: []string{"a"}}, "a"},
		{t.Context(), &usageError{faults: []string{"a", "b"}}, "these are wrong:\n  a\n  b"},
		{interrupted, context.Canceled, "interrupted"},
		{interrupted, errInterrupted, "interrupted"},
	} {
		if got := message(c.ctx, c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestScreenWidth: a line never wraps, or it could not be wiped.
func TestScreenWidth(t *testing.T) {
	var out bytes.Buffer
	newScreen(&out).line(strings.Repeat("é", 200))
	if got := strings.Count(out.String(), "é"); got != 79 {
		t.Errorf("%d columns", got)
	}
}
