// Package testpass says which tests of a package internal/tools/gotest leaves to its second pass,
// without the race detector: the first one runs the tests in process, with it.
package testpass

import (
	"os"
	"testing"
)

// inProcess is set in the first pass. A reason to skip that starts with it has the test run in the
// second one.
const inProcess = "KAFKADR_IN_PROCESS"

// First says whether this is the first pass.
func First() bool { return os.Getenv(inProcess) != "" }

// OtherProcesses marks a test that starts processes beside its own.
func OtherProcesses(t testing.TB) {
	t.Helper()
	later(t, "this test starts other processes")
}

// NoRaces marks a test in which the race detector has nothing to find, and which it makes ten to
// sixty times slower: one goroutine computes, or a test that ran in the first pass is run with more
// of the same.
func NoRaces(t testing.TB) {
	t.Helper()
	later(t, "the race detector has nothing to find in this test")
}

func later(t testing.TB, why string) {
	t.Helper()
	if First() {
		t.Skip(inProcess + " is set, and " + why)
	}
}

// Few are the first few of a test's cases in the first pass; in the second, and where there are no
// passes, they are all. It isn't for a test in a bubble.
func Few[C any](t *testing.T, few int, all []C) []C {
	t.Helper()
	if !First() || len(all) <= few {
		return all
	}
	t.Run("more cases", func(t *testing.T) { NoRaces(t) }) // by this name gotest knows to run the whole test
	return all[:few]
}

// Seeds are the numbers below n, for [Few].
func Seeds(n int) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = uint64(i)
	}
	return all
}
