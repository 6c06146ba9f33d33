package drill

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
)

// sum reads the log of who is active and adds up.
func (s *stage) sum(ctx context.Context) *Evidence {
	e := &Evidence{Scenario: s.scenario.Name, About: s.scenario.About, Started: s.started, Expected: s.scenario.Expect, RTO: map[string]int64{}}
	last, err := register.Latest(ctx, s.spy.Register, s.scope)
	s.fail("the last epoch", err)
	e.Active, e.Epoch = last.Active, last.Number
	if err == nil && last.Active == "" {
		s.fail("nobody is active", errors.New("no log was read, and every record counts as lost"))
	}
	for _, c := range []failover.Cluster{s.primary, s.standby} {
		if c.Name == last.Active {
			s.fail("read "+c.Name, s.apps.survey(ctx, c.Opts))
		}
	}
	e.Counts = s.apps.ledger.Counts()
	s.apps.meter.addTo(e)
	return e
}

// finish passes the verdict.
func (s *stage) finish(e *Evidence) {
	e.DurationMillis = time.Since(s.started).Milliseconds()
	s.mu.Lock()
	defer s.mu.Unlock()
	e.Timeline, e.Switches, e.Clients = s.entries, s.reports, s.clients
	e.Failures = append(slices.Clone(s.failed), s.scenario.judge(e, s.primary.Name, s.standby.Name)...)
	e.Passed = len(e.Failures) == 0
}

func (m *meter) addTo(e *Evidence) {
	behind := m.behind()
	m.mu.Lock()
	defer m.mu.Unlock()
	for phase, at := range map[string]time.Time{PhaseClosed: m.closed, PhaseOpened: m.opened, PhaseFirstAck: m.firstAck, PhaseFirstConsumed: m.firstConsumed} {
		if !at.IsZero() && !m.fault.IsZero() {
			e.RTO[phase] = at.Sub(m.fault).Milliseconds()
		}
	}
	e.PauseMillis = m.longest.Milliseconds()
	e.Epochs, e.Errors = slices.Clone(m.epochs), maps.Clone(m.failures)
	for p, n := range behind {
		if n > 0 {
			e.RPORecords += n
			e.RPO = append(e.RPO, PartitionRPO{p.topic, p.partition, n})
		}
	}
	slices.SortFunc(e.RPO, func(a, b PartitionRPO) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}
