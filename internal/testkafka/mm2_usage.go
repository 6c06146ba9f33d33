package testkafka

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// CPU is the processor time, user and system, that MirrorMaker has used since it was started. Where
// the kernel doesn't tell (/proc), the test is skipped.
func (m *MM2) CPU(t testing.TB) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.PID()))
	if err != nil {
		t.Skip(err)
	}
	// The second field is the program's name in parentheses; of those behind it, the 12th and 13th
	// are ticks of a hundredth of a second.
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		t.Fatalf("testkafka: /proc/%d/stat: %q", m.PID(), raw)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// RSS is MirrorMaker's resident size now and at its largest, in MiB. Where the kernel doesn't tell
// (/proc), the test is skipped.
func (m *MM2) RSS(t testing.TB) (now, peak int64) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.PID()))
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(raw)) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if name == "VmRSS" {
			now = kib >> 10
		} else {
			peak = kib >> 10
		}
	}
	return now, peak
}
