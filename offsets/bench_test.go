package offsets

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"
)

var benchRuns = []int{1, 100, 100_000}

// BenchmarkTranslate is one translation: random offsets, sorted ones, and a
// walk of small steps, over maps of so many runs.
func BenchmarkTranslate(b *testing.B) {
	for _, runs := range benchRuns {
		m, end := mapOf(b, runs)
		for _, order := range []string{"random", "sorted", "nearby"} {
			xs := inOrder(order, end)
			b.Run(fmt.Sprintf("runs=%d/%s", runs, order), func(b *testing.B) {
				var sum int64
				start := cpuTime(b)
				for b.Loop() {
					sum += translateEach(m, xs)
				}
				perSecond(b, len(xs), cpuTime(b)-start)
			})
		}
	}
}

func translateEach(m *Map, xs []int64) (sum int64) {
	for _, x := range xs {
		at, _ := m.Translate(x)
		sum += at
	}
	return sum
}

// perSecond reports translations in a second of a core, other processes' left out.
func perSecond(b *testing.B, each int, used time.Duration) {
	b.ReportMetric(float64(b.N)*float64(each)/used.Seconds()/1e6, "M/core-s")
	b.ReportMetric(0, "ns/op")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// mapOf makes a map of some 10^7 records in so many runs of random length, with holes of 1 to 3 on
// either side.
func mapOf(b *testing.B, runs int) (*Map, int64) {
	b.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	m, err := New(ID{}, 0, 0)
	if err != nil {
		b.Fatal(err)
	}
	for range runs {
		if err := m.Append(m.UpstreamEnd()+1+rnd.Int64N(3), m.DownstreamEnd()+1+rnd.Int64N(3), 1+rnd.Int64N(2e7/int64(runs))); err != nil {
			b.Fatal(err)
		}
	}
	return m, m.UpstreamEnd()
}

func inOrder(order string, end int64) []int64 {
	rnd := rand.New(rand.NewPCG(3, 4))
	xs := make([]int64, 1<<16)
	for i := range xs {
		switch {
		case order == "nearby" && i > 0:
			xs[i] = min(max(xs[i-1]+rnd.Int64N(201)-100, 0), end)
		default:
			xs[i] = rnd.Int64N(end)
		}
	}
	if order == "sorted" {
		slices.Sort(xs)
	}
	return xs
}
