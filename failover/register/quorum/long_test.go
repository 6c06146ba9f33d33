package quorum_test

import (
	"os"
	"testing"
)

// schedules is how many random schedules a test runs.
func schedules(t *testing.T) int {
	switch {
	case os.Getenv("KAFKADR_LONG") != "":
		return 100_000
	case testing.Short():
		return 200
	}
	t.Log("KAFKADR_LONG=1 runs 100 000 schedules")
	return 1000
}
