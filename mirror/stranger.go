package mirror

import (
	"context"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// WrongClusterStatus is another cluster's answer.
type WrongClusterStatus struct {
	// Side is source or target.
	Side string `json:"side"`
	WrongClusterError
	// SilentMillis is how long the right cluster hasn't answered.
	SilentMillis int64 `json:"silent_ms"`
}

const sideSource, sideTarget = "source", "target"

// anew is what an operator should know of a stranger at the target's address.
const anew = "; a standby that was made anew is another cluster: start the mirror again to fill it"

// told makes events of what the connections to one side meet.
func (h *hooks) told(side string, rc rawkafka.Config) rawkafka.Config {
	say := func(kind EventKind, policy Policy, detail string) {
		h.event(Event{Time: time.Now(), Kind: kind, Policy: policy, Partition: -1, Offset: -1, Other: -1, Detail: side + ": " + detail})
	}
	rc.OnWrong = func(err *WrongClusterError) {
		detail := err.Error()
		if side == sideTarget {
			detail += anew
		}
		say(WrongCluster, Retry, detail)
	}
	rc.OnRight = func(addr string) { say(Recovered, "", fmt.Sprintf("the right cluster answers at %s again", addr)) }
	rc.OnUnreachable = func(err *UnreachableError) { say(Unreachable, Retry, err.Error()) }
	return rc
}

// wrong is the answer of another cluster that counts now.
func (fl *flow) wrong() *WrongClusterStatus {
	for _, c := range []struct {
		side    string
		cluster *rawkafka.Cluster
	}{{sideSource, fl.source}, {sideTarget, fl.target}} {
		if c.cluster == nil {
			continue
		}
		if err, silent := c.cluster.Wrong(); err != nil {
			return &WrongClusterStatus{Side: c.side, WrongClusterError: *err, SilentMillis: silent.Milliseconds()}
		}
	}
	return nil
}

// unsure makes a status say that nothing newer is known than the right cluster's last answer.
func (s *Status) unsure(w *WrongClusterStatus) {
	s.WrongCluster = w
	if w == nil {
		return
	}
	for i := range s.Topics {
		t := &s.Topics[i]
		t.unsure(w)
		for j := range t.Detail {
			p := &t.Detail[j]
			p.LagMillis = max(p.LagMillis, w.SilentMillis)
			if p.LagRecords == 0 {
				p.LagRecords = -1
			}
		}
	}
	s.Totals.unsure(w)
	s.RPO.Unknown = s.Partitions
	s.RPO.AgeMillis = max(s.RPO.AgeMillis, w.SilentMillis)
}

func (t *Totals) unsure(w *WrongClusterStatus) {
	t.LagMillis = max(t.LagMillis, w.SilentMillis)
	if t.LagRecords == 0 {
		t.LagRecords = -1
	}
}

// bounded is the context of a job that ends by itself: see [rawkafka.Cluster.Bounded].
func (fl *flow) bounded(ctx context.Context) (context.Context, func(error) error) {
	ctx, source := fl.source.Bounded(ctx)
	ctx, target := fl.target.Bounded(ctx)
	return ctx, func(err error) error { return source(target(err)) }
}
