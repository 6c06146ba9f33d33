package mirror

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// trimmedFor is in how many looks at log starts in a row the standby's lies beyond the source's
// until that is said: the source's own may not have been heard yet.
const trimmedFor = 2

// sayTrimmed says where the standby has deleted what the source still has, once each time.
func (e *engine) sayTrimmed(all []*part) {
	var ps []*part
	var evs []Event
	e.mu.Lock()
	for _, p := range all {
		if p.fill >= 0 || p.logStart < 0 || p.standbyStart <= p.logStart {
			p.trimmed = 0
			continue
		}
		if p.trimmed++; p.trimmed == trimmedFor {
			ps = append(ps, p)
			evs = append(evs, Event{Kind: StandbyTrimmed, Offset: p.standbyStart, Other: p.logStart, Detail: fmt.Sprintf(
				"the standby's log starts at %d, the source's at %d: %d offsets are gone there that the source has", p.standbyStart, p.logStart, p.standbyStart-p.logStart)})
		}
	}
	e.mu.Unlock()
	for i, p := range ps {
		e.raise(p, evs[i], nil)
	}
}

// followStarts moves the standby's log starts to the source's, where those have moved: retention
// and DeleteRecords. Copies that are only compacted refuse it, and need none.
func (e *engine) followStarts(ctx context.Context, all []*part) {
	var os kadm.Offsets
	behind := make(map[rawkafka.Partition]*part)
	e.mu.Lock()
	for _, p := range all {
		p.reached()
		to := min(p.logStart, p.copy.Durable())
		if p.state() != Copying && p.state() != Done || p.fill >= 0 || p.compact || to <= p.standbyStart {
			continue
		}
		os.Add(kadm.Offset{Topic: p.target, Partition: p.dst.Partition, At: to})
		behind[rawkafka.Partition{Topic: p.target, Partition: p.dst.Partition}] = p
	}
	e.mu.Unlock()
	if len(behind) == 0 {
		return
	}
	resp, err := e.target.Admin().DeleteRecords(ctx, os)
	if err != nil {
		e.hooks.retry("delete records", err)
	}
	for key, p := range behind {
		r, ok := resp.Lookup(key.Topic, key.Partition)
		if !ok {
			continue
		}
		e.mu.Lock()
		switch {
		case r.Err == nil:
			p.standbyStart = max(p.standbyStart, r.LowWatermark)
		case errors.Is(r.Err, kerr.PolicyViolation):
			p.compact = true
		}
		e.mu.Unlock()
		switch {
		case r.Err == nil || errors.Is(r.Err, kerr.PolicyViolation):
		case rawkafka.Denies(r.Err):
			e.say(p.topic, Event{Kind: Denied, Detail: fmt.Sprintf("the standby's log start stays where it is: %v", r.Err)})
		default:
			e.hooks.retry("delete records of "+p.dst.String(), r.Err)
		}
	}
}
