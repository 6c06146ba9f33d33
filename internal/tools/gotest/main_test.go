package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	var out strings.Builder
	r := &report{out: &out, skips: map[string][]string{}, tests: map[string]*strings.Builder{}}
	for _, line := range []string{
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
	want := `    c_test.go:8: broken
FAIL	p	0.1s
panic: oh
not JSON

1 tests passed, 1 skipped:
  needs kcat: apt-get install kcat
      p TestB
`
	if diff := cmp.Diff(strings.ReplaceAll(want, "`", ""), out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
