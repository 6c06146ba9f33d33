package lease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

const length = 10 * time.Second

// world is a machine with clocks that may be wrong, and the truth.
type world struct {
	truth, mono, boot, wall time.Duration
	slow                    float64 // of mono and boot
	noBoot                  bool
}

func (w *world) now() Instant {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	i := Instant{Mono: base.Add(w.mono), Wall: base.Add(w.wall)}
	if !w.noBoot {
		i.Boot = time.Hour + w.boot
	}
	return i
}

// pass lets time pass; suspended, the monotonic clock stands still.
func (w *world) pass(d time.Duration, suspended bool) {
	w.truth += d
	seen := time.Duration(float64(d) * (1 - w.slow))
	w.boot += seen
	w.wall += seen
	if !suspended {
		w.mono += seen
	}
}

// TestSchedules holds that a lease is never valid when it is truly over, whatever the clocks do,
// and that it lasts where they do nothing.
func TestSchedules(t *testing.T) {
	for seed := range uint64(5000) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := &world{noBoot: seed%4 == 3}
		jumps := seed%8 != 0
		if seed%2 == 0 {
			w.slow = r.Float64() / 2000
		}
		if err := schedule(r, w, jumps); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func schedule(r *rand.Rand, w *world, jumps bool) error {
	type read struct {
		s  Start
		at time.Duration
	}
	l := New(Config{Lease: length, Clock: w.now})
	latest := -time.Hour
	var open []read
	for range 60 {
		switch d := time.Duration(r.Int64N(int64(4 * time.Second))); r.IntN(8) {
		case 0, 1:
			open = append(open, read{l.Begin(), w.truth})
		case 2, 3: // reads end in any order, and late
			if len(open) > 0 {
				i := r.IntN(len(open))
				l.Confirm(open[i].s)
				latest = max(latest, open[i].at)
				open = append(open[:i], open[i+1:]...)
			}
		case 4, 5:
			w.pass(d, false)
		case 6:
			w.pass(5*d, true)
		case 7: // without a clock that sees a suspended machine, a wall clock that goes back hides it: a documented limit
			if jump := time.Duration(r.Int64N(int64(time.Hour))) - time.Hour/2; jumps && (jump > 0 || !w.noBoot) {
				w.wall += jump
			}
		}
		passed := w.truth - latest
		if l.Valid() && passed >= length {
			return fmt.Errorf("valid %v after the read that confirmed it began", passed)
		}
		if left := l.Left(); left > 0 && passed+left > length {
			return fmt.Errorf("%v left, %v after the read began", left, passed)
		}
		if !jumps && !l.Valid() && passed < length-length/500 {
			return fmt.Errorf("over %v after the read that confirmed it began", passed)
		}
	}
	return nil
}

func TestConfirm(t *testing.T) {
	w := &world{}
	l := New(Config{Lease: length, Clock: w.now})
	valid := func(want bool, when string) {
		t.Helper()
		if l.Valid() != want || (l.Err() == nil) != want {
			t.Fatalf("%s: valid %v, %v", when, l.Valid(), l.Err())
		}
	}
	valid(false, "before a read")
	l.Confirm(Start{})
	valid(false, "confirmed by nothing")
	first := l.Begin()
	w.pass(9*time.Second, false)
	second := l.Begin()
	l.Confirm(second)
	l.Confirm(first)
	w.pass(5*time.Second, false)
	valid(true, "an older read that ends later")
	w.pass(5*time.Second, true)
	valid(false, "suspended")
	l.Confirm(l.Begin())
	valid(true, "revived")
	l.End()
	l.End()
	valid(false, "ended")
	l.Confirm(l.Begin())
	valid(false, "confirmed after the end")
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Lease: length, Clock: Go})
		if err := l.Wait(t.Context()); !errors.Is(err, ErrExpired) {
			t.Fatalf("never confirmed: %v", err)
		}
		begin := time.Now()
		l.Confirm(l.Begin())
		time.AfterFunc(5*time.Second, func() { l.Confirm(l.Begin()) })
		if err := l.Wait(t.Context()); !errors.Is(err, ErrExpired) {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 15*time.Second || took < 15*time.Second-20*time.Millisecond {
			t.Fatalf("over after %v, confirmed again after 5s", took)
		}
		l.Confirm(l.Begin())
		begin = time.Now()
		time.AfterFunc(time.Second, l.End)
		if err := l.Wait(t.Context()); !errors.Is(err, ErrExpired) || time.Since(begin) != time.Second {
			t.Fatalf("ended after a second: %v after %v", err, time.Since(begin))
		}
	})
}

func TestWaitContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{Lease: length, Clock: Go})
		l.Confirm(l.Begin())
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		if err := l.Wait(ctx); !errors.Is(err, why) {
			t.Fatal(err)
		}
	})
}

func TestWaitSeesSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asleep := time.Duration(0)
		l := New(Config{Lease: length, Clock: func() Instant {
			i := Go()
			i.Boot = time.Duration(i.Wall.UnixNano()) + asleep
			return i
		}})
		l.Confirm(l.Begin())
		asleep = time.Minute
		begin := time.Now()
		if err := l.Wait(t.Context()); !errors.Is(err, ErrExpired) || time.Since(begin) > length/looks {
			t.Fatalf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestSystem(t *testing.T) {
	a := System()
	for b := System(); b.Since(a) <= 0; b = System() { // until a clock has moved
	}
	l := New(Config{Lease: time.Hour})
	l.Confirm(l.Begin())
	if left := l.Left(); left <= 59*time.Minute || left > time.Hour {
		t.Fatalf("%v left of an hour", left)
	}
}

func BenchmarkValid(b *testing.B) {
	l := New(Config{Lease: time.Hour})
	l.Confirm(l.Begin())
	for b.Loop() {
		if !l.Valid() {
			b.Fatal("over")
		}
	}
}
