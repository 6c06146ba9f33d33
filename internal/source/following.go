package source

import (
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Stage is where a job stands with a partition that it follows.
type Stage int8

// Stages. A partition begins as Waiting.
const (
	// Waiting: it is new, or couldn't be looked at, for want of a leader for instance. Nothing of
	// it is read until a look finds its position right.
	Waiting Stage = iota
	// Reading: it is read.
	Reading
	// Held: it isn't read, for want of room for what comes. Its position is right.
	Held
	// Ended: it was read up to where its job ends.
	Ended
	// Broken: it was read, and must be looked at again: what came of it and isn't done yet is void.
	Broken
	// Stopped: an event or a fault has stopped it, until a look finds that over.
	Stopped
	// Done: all that was read up to the job's end has arrived.
	Done
	// Dropped: it is followed no more, since its incarnation is gone, or its copy.
	Dropped
)

// String is the stage's name.
func (s Stage) String() string {
	return [...]string{"waiting", "reading", "held", "ended", "broken", "stopped", "done", "dropped"}[s]
}

// Turn is what happens to a partition that is followed.
type Turn int8

// Turns.
const (
	// Right: a look found its position right, or what to do about it: it is read on.
	Right Turn = iota
	// Full: there is no room for what comes of it.
	Full
	// Room: there is again.
	Room
	// End: it is read up to where its job ends.
	End
	// Arrive: all of that has arrived.
	Arrive
	// Break: its position may be wrong, or what came of it can't be done: it must be looked at.
	Break
	// Rewind: it is read again from an earlier position, which is known to be right.
	Rewind
	// Unseen: it can't be looked at now.
	Unseen
	// Stop: an event or a fault stops it.
	Stop
	// Drop: it isn't to be followed any more.
	Drop
	// Return: it is, after all.
	Return
)

// after are the stages after each turn, in the order of the turns, by the stage before.
//
//	Right    Full     Room     End      Arrive   Break    Rewind   Unseen   Stop     Drop   Return
func (s Stage) after(t Turn) Stage {
	return [Dropped + 1][Return + 1]Stage{
		Waiting: {Reading, Waiting, Waiting, Waiting, Waiting, Waiting, Waiting, Waiting, Stopped, Dropped, Waiting},
		Reading: {Reading, Held, Reading, Ended, Done, Broken, Reading, Waiting, Stopped, Dropped, Reading},
		Held:    {Reading, Held, Reading, Ended, Done, Broken, Reading, Waiting, Stopped, Dropped, Held},
		Ended:   {Reading, Ended, Ended, Ended, Done, Broken, Reading, Waiting, Stopped, Dropped, Ended},
		Broken:  {Reading, Broken, Broken, Broken, Done, Broken, Broken, Waiting, Stopped, Dropped, Broken},
		Stopped: {Reading, Stopped, Stopped, Stopped, Stopped, Stopped, Stopped, Stopped, Stopped, Dropped, Stopped},
		Done:    {Done, Done, Done, Done, Done, Done, Done, Done, Stopped, Dropped, Done},
		Dropped: {Dropped, Dropped, Dropped, Dropped, Dropped, Dropped, Dropped, Dropped, Dropped, Dropped, Waiting},
	}[s][t]
}

// Following is where a job stands with a partition: its stage, and when it is looked at. The job
// guards it. The zero value is a partition that is new.
type Following struct {
	stage Stage
	life  int64 // raised by each turn that makes void what was asked for

	due     time.Time // when it is to be looked at; zero: not
	looking bool      // a look is under way
	looked  int64     // life, when the look began that is, or was, under way

	tries   int
	failing time.Time // since when looks at it fail
}

// Stage is where the job stands with the partition.
func (f *Following) Stage() Stage { return f.stage }

// Turn takes in what has happened. Nobody else changes the stage.
func (f *Following) Turn(t Turn) {
	f.stage = f.stage.after(t)
	switch t {
	case Break, Rewind, Unseen, Stop, Drop:
		f.life++
	case Right:
		f.due = time.Time{}
	case Full, Room, End, Arrive, Return:
	}
}

// Fresh says that nothing that was asked for has become void yet.
func (f *Following) Fresh() bool { return f.life == 0 }

// LookAt has the partition looked at then, whatever was said before. A zero time is never.
func (f *Following) LookAt(at time.Time) { f.due = at }

// LookBy has the partition looked at then at the latest.
func (f *Following) LookBy(at time.Time) {
	if f.due.IsZero() || at.Before(f.due) {
		f.due = at
	}
}

// Due says that the partition is to be looked at now.
func (f *Following) Due(now time.Time) bool {
	return !f.due.IsZero() && !f.due.After(now) && !f.looking && f.stage != Done && f.stage != Dropped
}

// Unlooked says that no look at the partition is under way or to come.
func (f *Following) Unlooked() bool { return f.due.IsZero() && !f.looking }

// BeginLook notes that a look is under way, EndLook that it is over.
func (f *Following) BeginLook() { f.due, f.looking, f.looked = time.Time{}, true, f.life }

// EndLook is BeginLook's end.
func (f *Following) EndLook() { f.looking = false }

// Current says that nothing has become of the partition since the look at it began.
func (f *Following) Current() bool { return f.life == f.looked }

// Fail notes that the partition couldn't be looked at, how often in a row, and for how long.
func (f *Following) Fail(now time.Time) (tries int, since time.Duration) {
	if f.failing.IsZero() {
		f.failing = now
	}
	f.tries++
	return f.tries, now.Sub(f.failing)
}

// Well forgets that looks at the partition failed.
func (f *Following) Well() { f.tries, f.failing = 0, time.Time{} }

// Fails says that looks at the partition fail.
func (f *Following) Fails() bool { return !f.failing.IsZero() }

// Want is how the partition is to be read, at its position. The Tag is the Following's own.
func (f *Following) Want(at rawkafka.Position) Want {
	at.Tag = f.life
	switch f.stage {
	case Reading:
		return Want{Read: true, At: at}
	case Held:
		return Want{Hold: true}
	case Waiting, Ended, Broken, Stopped, Done, Dropped:
	}
	return Want{}
}

// Use is what to do with a response.
type Use int8

// Uses.
const (
	// Stale: it was asked for before what has become of the partition since.
	Stale Use = iota
	// Overtaken: another broker's response has overtaken the one before. The partition is to be
	// steered.
	Overtaken
	// Next: it goes on at the partition's position.
	Next
)

// Use says what to do with a response, of a partition that goes on at next.
func (f *Following) Use(r rawkafka.Fetched, next int64) Use {
	switch {
	case f.stage != Reading && f.stage != Held, r.Tag != f.life, r.Position < next:
		return Stale
	case r.Position > next:
		return Overtaken
	}
	return Next
}
