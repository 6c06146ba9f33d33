package drill

import (
	"math/rand/v2"
	"testing"
)

// The set is what a map is, in order, and no two runs touch.
func TestRuns(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		sets, maps := [2]runs{}, [2]map[int64]bool{{}, {}}
		for range 100 {
			i, n := random.IntN(2), random.Int64N(60)
			if isNew := sets[i].add(n); isNew == maps[i][n] {
				t.Fatalf("seed %d: add(%d) is %v", seed, n, isNew)
			}
			maps[i][n] = true
		}
		left := sets[0].without(sets[1])
		for n := range int64(62) {
			if sets[0].has(n) != maps[0][n] || left.has(n) != (maps[0][n] && !maps[1][n]) {
				t.Fatalf("seed %d: %d: %v without %v is %v", seed, n, sets[0], sets[1], left)
			}
		}
		if sets[0].len() != int64(len(maps[0])) {
			t.Fatalf("seed %d: %d of %d", seed, sets[0].len(), len(maps[0]))
		}
		for i := 1; i < len(sets[0]); i++ {
			if sets[0][i-1].end >= sets[0][i].base {
				t.Fatalf("seed %d: runs touch: %v", seed, sets[0])
			}
		}
	}
}

func TestRunsStaySmall(t *testing.T) {
	var r runs
	for n := range int64(100_000) {
		r.add(n ^ 1) // in pairs the wrong way round
	}
	if len(r) != 1 || cap(r) > 8 {
		t.Errorf("%d runs, room for %d", len(r), cap(r))
	}
}
