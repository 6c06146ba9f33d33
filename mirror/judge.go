package mirror

import (
	"errors"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/internal/source"
)

// facts are what both clusters and the ledger say of a partition.
type facts struct {
	at         time.Time // when they began to be asked for
	source.Log           // the source's, with the end of the epoch in the note
	// Of the standby's log.
	standbyStart, standbyEnd int64
	watermark                int64
	note                     identity // zero: none
	sourceID                 string   // the source topic's
	// durable is how far the standby is known to have been durable, by this process or the note;
	// -1: not known.
	durable int64
	err     error
}

// verdict is how to go on: with an event first, if kind isn't empty, and then from position, behind
// filler up to fill or a hole up to hole.
type verdict struct {
	ev      Event
	fill    int64 // -1: none
	hole    int64 // -1: none
	wait    bool  // the source's answers lag behind
	compare bool  // what the standby holds is to be compared
}

// judge says whether a partition's copy can go on at its end. What it can't tell is compared by
// content.
func (f *facts) judge() verdict {
	v := verdict{fill: -1, hole: -1}
	event := func(kind EventKind, other int64, format string, args ...any) verdict {
		v.ev = Event{Kind: kind, Offset: f.standbyEnd, Other: other, Detail: fmt.Sprintf(format, args...)}
		return v
	}
	if f.note.known() && f.note.SourceID != f.sourceID {
		return event(TopicRecreated, -1, "the copy is of topic ID %s, the source's is %s now", f.note.SourceID, f.sourceID)
	}
	empty := f.standbyEnd == 0 || f.note.known() && f.standbyEnd <= f.note.Start
	if f.standbyEnd > f.End {
		if f.durable > f.End {
			return event(Truncated, f.End, "the source's log ends at %d, and %d was mirrored", f.End, f.durable)
		}
		return event(StandbyAhead, f.End, "the standby's log ends at %d, the source's at %d", f.standbyEnd, f.End)
	}
	if f.standbyEnd > f.Stable { // a new leader may not know yet how far it was replicated
		v.wait = true
		return v
	}
	if at, why := f.parted(); why != "" && !empty {
		return event(Truncated, at, "the source has another history from %d on: %s", at, why)
	}
	switch {
	case empty && f.Start > f.standbyEnd:
		v.fill = f.Start
		if f.durable > max(f.standbyEnd, f.note.Start) {
			return event(StandbyBack, f.durable, "the standby's log ends at %d, and %d was durable there; the source's starts at %d now", f.standbyEnd, f.durable, f.Start)
		}
		return v
	case empty && f.note.known() && f.standbyEnd > 0 && f.standbyStart < f.standbyEnd: // filled, and not deleted yet
		v.fill = f.standbyEnd
		return v
	case f.Start > f.standbyEnd:
		v.hole = f.Start
		return event(Overtaken, f.Start, "the source's log starts at %d: %d offsets are lost to it", f.Start, f.Start-f.standbyEnd)
	}
	v.compare = !empty
	if f.durable > f.standbyEnd {
		return event(StandbyBack, f.durable, "the standby's log ends at %d, and %d was durable there", f.standbyEnd, f.durable)
	}
	return v
}

// certain is how far the standby is durable, for certain.
func (f *facts) certain(v verdict) int64 {
	at := f.watermark
	if v.ev.Kind != StandbyBack { // a leader that is new may tell less for a moment
		at = max(at, f.durable)
	}
	return max(min(at, f.standbyEnd), 0)
}

// parted says where the source's log parts from the one that was mirrored, and why, by its leader
// epochs.
func (f *facts) parted() (at int64, why string) {
	if !f.note.known() {
		return 0, ""
	}
	return f.Parted(source.Last{End: f.note.End, Epoch: f.note.Epoch})
}

// errAhead: the standby ends beyond the source's last stable offset.
var errAhead = errors.New("the standby's log ends beyond the source's last stable offset")
