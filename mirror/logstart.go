package mirror

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// deleteBefore moves the log start offset of a partition to an offset.
func deleteBefore(ctx context.Context, c *rawkafka.Cluster, p rawkafka.Partition, offset int64) error {
	const tries = 8
	for n := 1; ; n++ {
		err := deleteOnce(ctx, c, p, offset)
		if err == nil || ctx.Err() != nil || n == tries || !rawkafka.Retriable(err) {
			return err
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
}

func deleteOnce(ctx context.Context, c *rawkafka.Cluster, p rawkafka.Partition, offset int64) error {
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: p.Topic, Partition: p.Partition, At: offset})
	resp, err := c.Admin().DeleteRecords(ctx, os)
	if err != nil {
		return fmt.Errorf("delete records: %w", err)
	}
	r, ok := resp.Lookup(p.Topic, p.Partition)
	if !ok {
		return errors.New("delete records: the answer has no partition")
	}
	if r.Err != nil {
		return fmt.Errorf("delete records: %w", r.Err)
	}
	if r.LowWatermark < offset {
		return fmt.Errorf("delete records before %d: the log start offset is %d", offset, r.LowWatermark)
	}
	return nil
}

// trimmedFor is in how many looks at log starts in a row the standby's lies beyond the source's until that is said: the source's own may not have been heard yet.
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

// followStarts moves the standby's log starts to the source's, where those have moved: retention and DeleteRecords. Copies that are only compacted refuse it, and
// need none.
func (e *engine) followStarts(ctx context.Context, all []*part) {
	var os kadm.Offsets
	behind := make(map[rawkafka.Partition]*part)
	e.mu.Lock()
	for _, p := range all {
		p.reached()
		to := min(p.logStart, p.durable)
		if p.state != Copying && p.state != Done || p.fill >= 0 || p.compact || to <= p.standbyStart {
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
