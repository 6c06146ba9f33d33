package testkafka

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kafkadr/kafkadr/internal/testpass"
)

// Missing skips the test because a part (kafka, minio, kcat, promtool) isn't there, or fails it
// where KAFKADR_REQUIRE names the part. install says what to do to have it.
func Missing(t testing.TB, part, install string) {
	t.Helper()
	if Required(part) {
		t.Fatalf("testkafka: %s is required (KAFKADR_REQUIRE) and missing: %s", part, install)
	}
	t.Skipf("needs %s: %s", part, install)
}

// Required says whether KAFKADR_REQUIRE names the part.
func Required(part string) bool {
	return slices.Contains(strings.Split(os.Getenv("KAFKADR_REQUIRE"), ","), part)
}

// OtherProcesses marks a test that starts processes beside its own, as [Real], [Kcat] and [MinIO]
// do by themselves: where KAFKADR_IN_PROCESS is set the test is skipped. internal/tools/gotest runs
// the tests in process first, with the race detector, and those that were skipped then after them.
// A test whose parts are missing should say that first ([Missing]): nothing is left to run it for.
func OtherProcesses(t testing.TB) {
	t.Helper()
	testpass.OtherProcesses(t)
}
