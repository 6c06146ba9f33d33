package drill

import (
	"strings"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
)

func TestJudge(t *testing.T) {
	good := func() Evidence {
		return Evidence{Active: "b", Counts: Counts{Acked: 10, Stored: 10}, RTO: map[string]int64{PhaseFirstAck: 900}, PauseMillis: 1000, RPORecords: 5}
	}
	five := int64(5)
	budgets := Budgets{RTO: Duration(900 * time.Millisecond), Pause: Duration(time.Second), RPORecords: &five}
	for name, c := range map[string]struct {
		expect Outcome
		change func(*Evidence)
		want   string
	}{
		"good":            {Switch, func(*Evidence) {}, ""},
		"either":          {Either, func(*Evidence) {}, ""},
		"stayed":          {Stay, func(e *Evidence) { e.Active = "a" }, ""},
		"closed":          {Either, func(e *Evidence) { e.Active = "" }, "nobody is active"},
		"not switched":    {Switch, func(e *Evidence) { e.Active = "a" }, `b ought to be active, not "a"`},
		"switched":        {Stay, func(*Evidence) {}, `a ought to be active, not "b"`},
		"to and fro":      {Stay, func(e *Evidence) { e.Active, e.Epochs = "a", make([]register.Epoch, 2) }, "but 2 epochs were written"},
		"too long":        {Switch, func(e *Evidence) { e.RTO[PhaseFirstAck]++ }, "RTO 901ms is over the budget of 900ms"},
		"too long paused": {Switch, func(e *Evidence) { e.PauseMillis++ }, "1.001s without an ack"},
		"too many":        {Switch, func(e *Evidence) { e.RPORecords++ }, "RPO of 6 records is over the budget of 5"},
		"lost":            {Switch, func(e *Evidence) { e.Lost = 1 }, "1 records lost, of at most 0"},
		"doubled":         {Switch, func(e *Evidence) { e.Doubled = 2 }, "2 records doubled"},
		"reordered":       {Switch, func(e *Evidence) { e.Reordered = 1 }, "reordered"},
		"skipped":         {Switch, func(e *Evidence) { e.Skipped = 1 }, "skipped"},
		"moved":           {Switch, func(e *Evidence) { e.Moved = 1 }, "moved"},
		"foreign":         {Switch, func(e *Evidence) { e.Foreign = 1 }, "foreign"},
		"idle":            {Switch, func(e *Evidence) { e.Acked = 0 }, "no record was acked"},
	} {
		e := good()
		c.change(&e)
		got := strings.Join(Scenario{Expect: c.expect, Budgets: budgets}.judge(&e, "a", "b"), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q; want %q", name, got, c.want)
		}
	}
}
