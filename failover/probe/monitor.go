package probe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/internal/millis"
)

// Monitor looks at a cluster again and again and says by a [Rule] whether it is down. Its methods
// are safe for concurrent use.
type Monitor struct {
	probe  Probe
	target Target
	rule   Rule
	hooks  Hooks

	mu      sync.Mutex
	running bool
	status  Status
	counted []bool // the last looks that can tell: whether they failed
	well    int    // successes in a row
	wellAt  time.Time
	backAt  time.Time // when it was healthy again after it was down
}

// ErrRunning says that Run runs already.
var ErrRunning = errors.New("probe: the monitor runs already")

// NewMonitor returns a monitor that hasn't looked yet. The error says what is wrong with the
// arguments.
func NewMonitor(p Probe, t Target, rule Rule, hooks Hooks) (*Monitor, error) {
	err := rule.Validate()
	if p == nil {
		err = errors.Join(errors.New("probe: a monitor needs a probe"), err)
	}
	if err != nil {
		return nil, err
	}
	return &Monitor{probe: p, target: t, rule: rule.withDefaults(), hooks: hooks, status: Status{Cluster: t.Name, State: Unknown}}, nil
}

// Run looks at once and then at each interval, until ctx ends; its cause is the error. A look never
// overlaps the next. Run again goes on where it was.
func (m *Monitor) Run(ctx context.Context) error {
	if err := m.begin(); err != nil {
		return err
	}
	defer m.end()
	for {
		at := time.Now()
		err := m.look(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m.take(m.judge(at, time.Since(at), err))
		t := time.NewTimer(m.rule.Interval - time.Since(at))
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

func (m *Monitor) begin() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running {
		return ErrRunning
	}
	m.running = true
	if m.status.Since.IsZero() {
		m.status.Since = time.Now()
	}
	return nil
}

func (m *Monitor) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = false
}

func (m *Monitor) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.rule.Timeout)
	defer cancel()
	return m.probe(ctx, m.target)
}

// judge says what a look means. One that took too long is a failure whatever it says.
func (m *Monitor) judge(at time.Time, took time.Duration, err error) Result {
	fault := func(k Kind, limit time.Duration) error {
		return &Fault{Kind: k, Cluster: m.target.Name, Probe: "monitor", Err: fmt.Errorf("took %v, more than %v", took, limit)}
	}
	switch {
	case err != nil:
	case took > m.rule.Timeout:
		err = fault(Timeout, m.rule.Timeout)
	case m.rule.SlowerThan > 0 && took > m.rule.SlowerThan:
		err = fault(Slow, m.rule.SlowerThan)
	}
	r := Result{At: at, Took: millis.Duration(took), Err: err, OK: err == nil, Failed: m.rule.fails(err), Kind: KindOf(err)}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// take takes a look in, and calls the hooks.
func (m *Monitor) take(r Result) {
	m.mu.Lock()
	from := m.status.State
	m.note(r)
	to := m.next(r)
	if to != from {
		m.enter(to)
	}
	status := m.copyStatus()
	m.mu.Unlock()
	if m.hooks.OnResult != nil {
		m.hooks.OnResult(r)
	}
	if to != from && m.hooks.OnChange != nil {
		m.hooks.OnChange(Change{From: from, To: to, Status: status})
	}
}

// note keeps what later looks are judged by.
func (m *Monitor) note(r Result) {
	s := &m.status
	s.History = keep(append(s.History, r), m.rule.Of)
	switch {
	case r.OK:
		if m.well == 0 {
			m.wellAt = r.At
		}
		m.well++
		s.Latency = r.Took
	default:
		m.well = 0
		s.Kind, s.Err, s.Error = r.Kind, r.Err, r.Error
	}
	if r.OK || r.Failed {
		m.counted = keep(append(m.counted, r.Failed), m.rule.Of)
	}
	s.HealthyAt = time.Time{}
	if s.State == Down && m.well > 0 {
		s.HealthyAt = m.wellAt.Add(max(m.rule.backoff(s.Flaps), time.Duration(m.rule.Successes-1)*m.rule.Interval))
	}
}

func keep[T any](s []T, n int) []T { return slices.Clone(s[max(0, len(s)-n):]) }

// next is the state after a look.
func (m *Monitor) next(r Result) State {
	was := m.status.State
	switch {
	case was == Down:
		if m.well >= m.rule.Successes && r.At.Sub(m.wellAt) >= m.rule.backoff(m.status.Flaps) {
			return Healthy
		}
		return Down
	case r.Failed && m.enough():
		return Down
	case r.Failed:
		return Suspect
	case !r.OK:
		return Unknown
	case m.well >= m.rule.Successes || !slices.Contains(m.counted, true):
		return Healthy
	}
	return Suspect
}

// enough says whether enough looks failed.
func (m *Monitor) enough() bool {
	failed := 0
	for _, f := range m.counted {
		if f {
			failed++
		}
	}
	last := m.counted[max(0, len(m.counted)-min(inARow, m.rule.Failures)):]
	return failed >= m.rule.Failures && !slices.Contains(last, false)
}

func (m *Monitor) enter(to State) {
	s := &m.status
	now := time.Now()
	switch {
	case to == Down && !m.backAt.IsZero() && now.Sub(m.backAt) <= 2*m.rule.MaxBackoff:
		s.Flaps++
	case to == Down:
		s.Flaps = 0
	case to == Healthy:
		if s.State == Down {
			m.backAt = now
		}
		m.counted = nil
		s.Kind, s.Err, s.Error, s.HealthyAt = "", nil, "", time.Time{}
	}
	s.State, s.Since = to, now
}

// Status is where it stands. It isn't changed afterwards.
func (m *Monitor) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.copyStatus()
}

func (m *Monitor) copyStatus() Status {
	s := m.status
	s.History = slices.Clone(s.History)
	return s
}
