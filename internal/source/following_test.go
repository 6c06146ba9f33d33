package source

import (
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

var (
	stages = []Stage{Waiting, Reading, Held, Ended, Broken, Stopped, Done, Dropped}
	turns  = []Turn{Right, Full, Room, End, Arrive, Break, Rewind, Unseen, Stop, Drop, Return}
)

// at is a partition at a stage, by turns that lead there.
func at(t *testing.T, s Stage) (f Following) {
	t.Helper()
	for _, turn := range map[Stage][]Turn{
		Waiting: nil, Reading: {Right}, Held: {Right, Full}, Ended: {Right, End}, Broken: {Right, Break}, Stopped: {Stop}, Done: {Right, Arrive}, Dropped: {Drop},
	}[s] {
		f.Turn(turn)
	}
	if f.Stage() != s {
		t.Fatalf("%s, want %s", f.Stage(), s)
	}
	return f
}

// TestTurns holds what the table at Stage.after is for, each cell of it: who reads on, who doesn't,
// and what nobody comes back from.
func TestTurns(t *testing.T) {
	for _, s := range stages {
		for _, turn := range turns {
			f := at(t, s)
			was := f
			f.Turn(turn)
			if want := turned(s, turn); f.Stage() != want {
				t.Errorf("%s, turn %d: %s, want %s", s, turn, f.Stage(), want)
			}
			voids := turn == Break || turn == Rewind || turn == Unseen || turn == Stop || turn == Drop
			if f.Fresh() != (was.Fresh() && !voids) || voids == (f.life == was.life) {
				t.Errorf("%s, turn %d: life %d after %d", s, turn, f.life, was.life)
			}
		}
	}
}

// turned says the table in rules.
func turned(s Stage, t Turn) Stage {
	reads := s == Reading || s == Held || s == Ended
	switch {
	case s == Dropped && t == Return:
		return Waiting
	case s == Dropped:
		return Dropped
	case t == Drop:
		return Dropped
	case t == Stop:
		return Stopped
	case s == Done:
		return Done
	case t == Right:
		return Reading
	case s == Stopped:
		return Stopped
	case t == Unseen:
		return Waiting
	case t == Arrive && s != Waiting:
		return Done
	case !reads:
		return s
	case t == Break:
		return Broken
	case t == Rewind:
		return Reading
	case t == End:
		return Ended
	case s == Reading && t == Full:
		return Held
	case s == Held && t == Room:
		return Reading
	}
	return s
}

// TestWant: one is read, one only takes what was asked for before, and the others nothing.
func TestWant(t *testing.T) {
	for _, s := range stages {
		f := at(t, s)
		w := f.Want(rawkafka.Position{Offset: 7})
		if w.Read != (s == Reading) || w.Hold != (s == Held) || w.Read && (w.At.Offset != 7 || w.At.Tag != f.life) {
			t.Errorf("%s: %+v", s, w)
		}
	}
}

// TestUse: a response counts in the life that it was asked for in, at the position that it is for.
func TestUse(t *testing.T) {
	for _, s := range stages {
		f := at(t, s)
		for offset, want := range map[int64]Use{6: Stale, 7: Next, 8: Overtaken} {
			if s != Reading && s != Held {
				want = Stale
			}
			if got := f.Use(rawkafka.Fetched{Position: offset, Tag: f.life}, 7); got != want {
				t.Errorf("%s, response at %d: %d, want %d", s, offset, got, want)
			}
			if got := f.Use(rawkafka.Fetched{Position: offset, Tag: f.life - 1}, 7); got != Stale {
				t.Errorf("%s, response of the life before: %d", s, got)
			}
		}
	}
}

// TestLooks: a look that is due is made once, and doesn't count where something becomes of the
// partition meanwhile.
func TestLooks(t *testing.T) {
	now := time.Unix(1000, 0)
	f := at(t, Broken)
	if f.Due(now) || !f.Unlooked() {
		t.Error("nobody has asked for a look")
	}
	f.LookBy(now.Add(time.Second))
	f.LookBy(now.Add(time.Minute))
	if f.Due(now) || !f.Due(now.Add(time.Second)) || f.Unlooked() {
		t.Error("the earlier look counts")
	}
	f.BeginLook()
	if f.Due(now.Add(time.Hour)) || f.Unlooked() || !f.Current() {
		t.Error("a look is under way")
	}
	f.LookBy(now)
	f.Turn(Right)
	f.EndLook()
	if !f.Current() || !f.Unlooked() {
		t.Error("what the look has found right isn't looked at again")
	}
	f.BeginLook()
	if f.Turn(Stop); f.Current() {
		t.Error("it has stopped since the look began")
	}
	f.EndLook()
	for _, s := range []Stage{Done, Dropped} {
		f := at(t, s)
		if f.LookAt(now); f.Due(now) {
			t.Errorf("%s: looked at", s)
		}
	}
}

// TestFail counts looks that fail, until one is well.
func TestFail(t *testing.T) {
	now := time.Unix(1000, 0)
	var f Following
	f.Fail(now)
	if tries, since := f.Fail(now.Add(time.Minute)); tries != 2 || since != time.Minute || !f.Fails() {
		t.Error(tries, since)
	}
	f.Well()
	if tries, since := f.Fail(now); tries != 1 || since != 0 {
		t.Error(tries, since)
	}
}
