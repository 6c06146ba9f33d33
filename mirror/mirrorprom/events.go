package mirrorprom

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkadr/kafkadr/mirror"
)

// seen is what was last known of a kind of event.
type seen struct {
	count int64
	at    time.Time
}

// collectEvents sends the counters of all kinds, those that were never seen as well, so that a
// first event is an increase.
func (c *Collector) collectEvents(ch chan<- prometheus.Metric, s *mirror.Status) {
	counts := make(map[mirror.EventKind]int64)
	for _, k := range kinds() {
		counts[k] = 0
	}
	maps.Copy(counts, s.Events)
	for k, n := range counts {
		ch <- prometheus.MustNewConstMetric(c.events, prometheus.CounterValue, float64(n), s.Flow, string(k))
	}
	for k, at := range c.lastEvents(s) {
		send(ch, c.lastEvent, unixSeconds(at), s.Flow, string(k))
	}
	for k, n := range stoppedBy(s) {
		send(ch, c.stopped, float64(n), s.Flow, string(k))
	}
}

// lastEvents are when the last event of each kind was. The status has only the most recent events;
// of one that others have pushed out of them it is the time when the count was seen to grow.
func (c *Collector) lastEvents(s *mirror.Status) map[mirror.EventKind]time.Time {
	recent := make(map[mirror.EventKind]time.Time)
	for _, ev := range s.Recent {
		if ev.Time.After(recent[ev.Kind]) {
			recent[ev.Kind] = ev.Time
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := make(map[mirror.EventKind]time.Time)
	for k, n := range s.Events {
		last := c.seen[k]
		switch t, ok := recent[k]; {
		case ok:
			last.at = t
		case n != last.count:
			last.at = c.now()
		}
		last.count = n
		c.seen[k], at[k] = last, last.at
	}
	return at
}

// stoppedBy counts stopped partitions by the kind of event that stopped them.
func stoppedBy(s *mirror.Status) map[mirror.EventKind]int {
	n := make(map[mirror.EventKind]int)
	for _, t := range s.Topics {
		for _, p := range t.Detail {
			if p.State != mirror.Stopped {
				continue
			}
			kind := mirror.Failed
			if p.Event != nil {
				kind = p.Event.Kind
			}
			n[kind]++
		}
	}
	return n
}

// kinds are the kinds of events of the mirror and of what it keeps in step.
func kinds() []mirror.EventKind {
	return slices.Concat([]mirror.EventKind{
		mirror.TopicRecreated, mirror.TopicDeleted, mirror.Overtaken, mirror.Truncated, mirror.ForeignWriter, mirror.StandbyAhead, mirror.StandbyBack,
		mirror.StandbyDeleted, mirror.Shifted, mirror.Stamped, mirror.TakenOver, mirror.TooLarge, mirror.Denied, mirror.Failed, mirror.Recovered,
		mirror.LSOStuck, mirror.UnderReplicated, mirror.CoordinatorAway, mirror.NothingRead, mirror.StandbyTrimmed, mirror.TopicRefused, mirror.PartitionsAhead, mirror.HeartbeatDenied,
		mirror.HolesUnguarded, mirror.WrongCluster, mirror.Unreachable,
	}, []mirror.EventKind{
		"config_refused", "config_failed", "config_default", "config_capped", "configs_unread", "acls_off", "acls_withheld", "acl_refused", "quota_refused", "quotas_unread", "quota_own",
		"scram_users", "group_active", "group_diverged", "group_adopted", "group_pending", "group_share", "group_deleted", "group_failed", "groups_unread", "retention_unread",
	})
}
