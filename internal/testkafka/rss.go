package testkafka

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// PeakRSS is this process's largest resident size since it began or [ResetRSS], in MiB. Where the
// kernel doesn't tell, the test is skipped. (The rusage of a child counts what its parent held when
// it was started.)
func PeakRSS(t testing.TB) int64 {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib >> 10
		}
	}
	t.Skip("no VmHWM")
	return 0
}

// ResetRSS makes PeakRSS count from here.
func ResetRSS(t testing.TB) {
	t.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Skip(err)
	}
}
