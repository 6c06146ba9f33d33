package mirror

import (
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
)

// raise notes an event of a partition. Where the policy isn't to go on, the partition stops. It
// returns the policy.
func (e *engine) raise(p *part, ev Event, cause error) Policy {
	ev.Time, ev.Topic, ev.Target, ev.Partition = time.Now(), p.source, p.target, p.src.Partition
	ev.Policy = e.cfg.Policies.of(ev.Kind)
	e.mu.Lock()
	again := ev.same(p.why) || ev.same(p.was)
	p.last = &ev
	if ev.Policy == Stop || ev.Policy == Retry {
		p.why, p.was = &EventError{Event: ev, Err: cause}, nil
		e.stop(p, ev.Policy)
		e.poke()
	}
	e.mu.Unlock()
	if !again {
		e.hooks.event(ev)
	}
	return ev.Policy
}

// stop stops a partition, until Retry, or, by that policy, for a while; e.mu is held.
func (e *engine) stop(p *part, policy Policy) {
	e.void(p, source.Stop)
	p.LookAt(time.Time{})
	if policy == Retry {
		p.LookAt(time.Now().Add(e.cfg.tuning.pause))
	}
}

// same says that a partition has, or had, stopped for this already.
func (e Event) same(why *EventError) bool {
	return why != nil && why.Event.Kind == e.Kind && why.Event.Offset == e.Offset && why.Event.Other == e.Other
}

// say notes an event of a whole topic, or of none (t is nil), once per detail.
func (e *engine) say(t *topic, ev Event) {
	ev.Time, ev.Partition = time.Now(), -1
	ev.Policy = e.cfg.Policies.of(ev.Kind)
	if ev.Offset == 0 && ev.Other == 0 {
		ev.Offset, ev.Other = -1, -1
	}
	if t != nil {
		ev.Topic, ev.Target = t.source, t.target
		e.mu.Lock()
		said := t.said[ev.Kind] == ev.Detail
		if t.said == nil {
			t.said = make(map[EventKind]string)
		}
		t.said[ev.Kind] = ev.Detail
		e.mu.Unlock()
		if said {
			return
		}
	}
	e.hooks.event(ev)
}

// recovered notes that a partition that had stopped is mirrored again.
func (e *engine) recovered(p *part, was *EventError) {
	ev := Event{
		Time: time.Now(), Kind: Recovered, Topic: p.source, Target: p.target, Partition: p.src.Partition, Offset: p.checked, Other: -1,
		Detail: fmt.Sprintf("mirrored again after %s", was.Event.Kind),
	}
	e.mu.Lock()
	p.last = &ev
	e.mu.Unlock()
	e.hooks.event(ev)
}

// errorEvent is the event that an error of a worker or of a look is, or false for what passes by
// looking again.
func errorEvent(err error) (ev Event, ok bool) {
	ev = Event{Offset: -1, Other: -1, Detail: err.Error()}
	var shifted *exactcopy.ShiftedError
	var empty *rawkafka.EmptyError
	var from *exactcopy.PartitionError
	switch {
	case errors.As(err, &empty):
		ev.Kind, ev.Offset, ev.Other = NothingRead, empty.Offset, empty.Stable
	case errors.As(err, &shifted):
		ev.Kind, ev.Offset, ev.Other = Shifted, shifted.Expected, shifted.Got
		ev.Detail = fmt.Sprintf("the standby's log is at %d where %d was to be", shifted.Got, shifted.Expected)
	case errors.Is(err, exactcopy.ErrStamped):
		ev.Kind = Stamped
		if errors.As(err, &from) {
			ev.Offset = from.Offset
		}
	case isTakenOver(err):
		ev.Kind = TakenOver
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		ev.Kind = TooLarge
	case rawkafka.Denies(err):
		ev.Kind = Denied
	case errors.Is(err, standby.ErrMoved), errors.Is(err, errAhead), errors.Is(err, exactcopy.ErrUndecided), errors.Is(err, exactcopy.ErrClosed), rawkafka.Unknown(err), rawkafka.Retriable(err), source.Suspicious(err):
		return ev, false
	default:
		ev.Kind = Failed
	}
	return ev, true
}
