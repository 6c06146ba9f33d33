package drill

import (
	"fmt"
	"time"
)

// judge says what a scenario's expectation and budgets are not met in.
func (s Scenario) judge(e *Evidence, primary, standby string) (failures []string) {
	bad := func(format string, args ...any) { failures = append(failures, fmt.Sprintf(format, args...)) }
	switch s.Expect {
	case Switch:
		if e.Active != standby {
			bad("%s ought to be active, not %q", standby, e.Active)
		}
	case Stay:
		if e.Active != primary {
			bad("%s ought to be active, not %q", primary, e.Active)
		}
		if n := len(e.Epochs); n > 0 {
			bad("nothing was to be switched, but %d epochs were written", n)
		}
	case Either:
		if e.Active != primary && e.Active != standby {
			bad("nobody is active")
		}
	}
	if first, ok := e.RTO[PhaseFirstAck]; ok && s.Budgets.RTO > 0 && millis(first) > time.Duration(s.Budgets.RTO) {
		bad("RTO %v is over the budget of %v", millis(first), s.Budgets.RTO)
	}
	if s.Budgets.Pause > 0 && millis(e.PauseMillis) > time.Duration(s.Budgets.Pause) {
		bad("%v without an ack are over the budget of %v", millis(e.PauseMillis), s.Budgets.Pause)
	}
	if b := s.Budgets.RPORecords; b != nil && e.RPORecords > *b {
		bad("RPO of %d records is over the budget of %d", e.RPORecords, *b)
	}
	for _, c := range []struct {
		what     string
		n, bound int64
	}{
		{"lost", e.Lost, s.Budgets.Lost}, {"doubled", e.Doubled, s.Budgets.Doubled}, {"reordered", e.Reordered, s.Budgets.Reordered},
		{"skipped", e.Skipped, s.Budgets.Skipped}, {"moved to another partition", e.Moved, 0}, {"foreign", e.Foreign, 0},
	} {
		if c.n > c.bound {
			bad("%d records %s, of at most %d", c.n, c.what, c.bound)
		}
	}
	if e.Acked == 0 {
		bad("no record was acked at all")
	}
	return failures
}
