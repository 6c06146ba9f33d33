package restore

import (
	"math/rand/v2"
	"testing"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/offsets"
)

// Whatever is told first, and in whatever pieces, the map is the one that the two sides make; what
// was deleted from the target is a hole.
func TestMappingRandom(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 9))
		n := r.IntN(60)
		up, down := make([]int64, n), make([]int64, n)
		start, first := r.Int64N(50), r.Int64N(50)
		u, d := start, first
		for i := range n {
			if r.IntN(4) == 0 {
				u += 1 + r.Int64N(5)
			}
			if r.IntN(5) == 0 {
				d += 1 + r.Int64N(5)
			}
			up[i], down[i] = u, d
			u, d = u+1, d+1
		}
		end := u + r.Int64N(3)
		m, err := newMapping(offsets.ID{}, start, first)
		if err != nil {
			t.Fatal(err)
		}
		gone := map[int]bool{}
		archived, placed := 0, 0
		for archived < n || placed < n {
			if archived < n && (placed == n || r.IntN(2) == 0) {
				k := dense(r, up, archived)
				from := max(0, archived-r.IntN(3)) // some of it is known
				for from < archived && up[archived]-up[from] != int64(archived-from) {
					from++
				}
				m.archived(int64(from), up[from], int64(archived+k-from))
				archived += k
				continue
			}
			k := dense(r, down, placed)
			if r.IntN(6) == 0 && placed+k < n {
				for i := range k {
					gone[placed+i] = true
				}
			} else {
				m.placed(exactcopy.Placed{First: int64(placed), Base: down[placed], Records: int64(k)})
			}
			placed += k
		}
		if at, ok := m.upstream(int64(n)); n > 0 && (!ok || at != up[n-1]+1) {
			t.Fatalf("seed %d: the end is at %d, want %d", seed, at, up[n-1]+1)
		}
		got, err := m.whole(end)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for i := range n {
			at, how := got.Translate(up[i])
			if gone[i] && how == offsets.HowExact && at != got.DownstreamEnd() || !gone[i] && (at != down[i] || how != offsets.HowExact) {
				t.Fatalf("seed %d: record %d of %d at %d: %d %s, want %d; gone: %v", seed, i, n, up[i], at, how, down[i], gone[i])
			}
		}
		if got.UpstreamEnd() != end {
			t.Fatalf("seed %d: the map ends at %d, want %d", seed, got.UpstreamEnd(), end)
		}
	}
}

// dense is a random number of elements from i on that are consecutive.
func dense(r *rand.Rand, at []int64, i int) int {
	k := 1
	for i+k < len(at) && at[i+k] == at[i+k-1]+1 && r.IntN(5) > 0 {
		k++
	}
	return k
}

// A target that has more of the job than the archive is an error, not a map.
func TestMappingTooMuch(t *testing.T) {
	m, err := newMapping(offsets.ID{}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	m.archived(0, 0, 3)
	m.placed(exactcopy.Placed{First: 0, Base: 0, Records: 4})
	if _, err := m.whole(3); err == nil {
		t.Error("no error")
	}
}
