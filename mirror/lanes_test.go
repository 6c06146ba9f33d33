package mirror

import (
	"testing"
	"testing/synctest"
)

// A lane is busy until what runs in it has ended, and so is none other.
func TestLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lanes
		a, b := lane{looking, 0, 1}, lane{looking, 0, 2}
		hold, done := make(chan struct{}), false
		l.run(a, func() { <-hold }, func() { done = l.free(a) })
		synctest.Wait()
		if l.free(a) || !l.free(b) || !l.free(lane{settling, 0, 1}) {
			t.Errorf("%+v is under way: %+v", a, l.busy)
		}
		close(hold)
		if l.wait(); !done || !l.free(a) {
			t.Errorf("it has ended: %+v", l.busy)
		}
	})
}
