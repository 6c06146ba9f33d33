package main

import (
	"bytes"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestStory runs the program: the application survives its cluster.
func TestStory(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), &out)
	t.Logf("%s", out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"The primary dies", "the last of them on the standby", "Every order that was acked is billed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
	goleak.VerifyNone(t)
}
