package instep

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The fast ways to compare marks say what the plain ones do.
func TestMarks(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, seed))
	random := func() marks {
		var ms marks
		for _, topic := range []string{"a", "b", "c"} {
			for p := range int32(3) {
				if rng.IntN(3) > 0 {
					m := mark{topic: topic, partition: p, offset: rng.Int64N(2)}
					if rng.IntN(2) > 0 {
						m.meta = ptr("")
					}
					ms = append(ms, m)
				}
			}
		}
		return ms
	}
	for range 10_000 {
		a, b := random(), random()
		diff := a.differing(b)
		if a.changed(b) != (len(diff) > 0) {
			t.Fatalf("seed %d: %v and %v differ in %v, changed says %v", seed, a, b, diff, a.changed(b))
		}
		if both := b.with(a); a.changed(both) || !slices.IsSortedFunc(both, mark.compare) || len(both) != len(a)+len(b.without(a)) {
			t.Fatalf("seed %d: %v with %v is %v", seed, b, a, both)
		}
		if len(a.among(b))+len(a.without(b)) != len(a) {
			t.Fatalf("seed %d: %v among %v, and without", seed, a, b)
		}
		n := noteOf(a)
		if differ, _ := n.differing(a, true); len(differ) > 0 {
			t.Fatalf("seed %d: the note of %v says %v", seed, a, differ)
		}
		if differ, _ := n.differing(b, true); len(differ) == 0 && slices.ContainsFunc(b, func(m mark) bool { o, ok := a.find(m); return !ok || !o.same(m) }) {
			t.Fatalf("seed %d: the note of %v doesn't know %v from it", seed, a, b)
		}
	}
}
