package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	var out strings.Builder
	r := newReport(&out)
	for _, line := range []string{
		`{"Action":"start","Package":"p"}`,
		`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}`,
		`{"Action":"pass","Package":"p","Test":"TestA"}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:7: needs kcat: apt-get install kcat\n"}`,
		`{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}`,
		`{"Action":"skip","Package":"p","Test":"TestB"}`,
		`{"Action":"output","Package":"p","Test":"TestC","Output":"    c_test.go:8: broken\n"}`,
		`{"Action":"fail","Package":"p","Test":"TestC"}`,
		`{"Action":"output","Package":"p","Test":"TestD","Output":"panic: oh\n"}`,
		`{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}`,
		`{"Action":"fail","Package":"p"}`,
		`not JSON`,
	} {
		r.line(line + "\n")
	}
	r.summary()
	want := `start	p
    c_test.go:8: broken
FAIL	p	0.1s
panic: oh
not JSON

failed: p TestC, p
1 tests passed in 0s, 1 skipped:
  needs kcat: apt-get install kcat
      p TestB
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestHeartbeat(t *testing.T) {
	var out strings.Builder
	r := newReport(&out)
	r.start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r.heartbeat(r.start.Add(5 * time.Second))
	for _, line := range []string{
		`{"Time":"2026-01-01T00:00:10Z","Action":"start","Package":"github.com/kafkadr/kafkadr/a"}`,
		`{"Time":"2026-01-01T00:00:12Z","Action":"start","Package":"b"}`,
		`{"Time":"2026-01-01T00:00:15Z","Action":"run","Package":"b","Test":"TestX"}`,
		`{"Time":"2026-01-01T00:00:16Z","Action":"run","Package":"b","Test":"TestX/sub"}`,
		`{"Time":"2026-01-01T00:00:17Z","Action":"start","Package":"c"}`,
		`{"Time":"2026-01-01T00:00:18Z","Action":"pass","Package":"c"}`,
	} {
		r.line(line)
	}
	r.heartbeat(r.start.Add(30 * time.Second))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range map[int]string{0: "5s\tbuilding", len(lines) - 1: "   30s\tb (18s) TestX (15s), a (20s)"} {
		if lines[i] != want {
			t.Errorf("%q, want %q", lines[i], want)
		}
	}
}

func TestPattern(t *testing.T) {
	if got, want := pattern([]string{"TestB/a_b|c", "TestA", "TestA"}), `^TestA$|^TestB$/^a_b\|c$`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
