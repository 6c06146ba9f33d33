package drill_test

import (
	"fmt"
	"slices"

	"github.com/kafkadr/kafkadr/failover/drill"
)

// What a log lacks, and has twice, against what was sent. [drill.Run] does this with the records of
// its load; package drilltest has an example of a whole drill.
func Example() {
	k := drill.Key{Topic: "orders", Key: "customer-7"}
	var events []drill.Event
	note := func(kind drill.EventKind, sequences ...int64) {
		for _, n := range sequences {
			events = append(events, drill.Event{Kind: kind, Key: k, Sequence: n})
		}
	}
	note(drill.Sent, 0, 1, 2, 3, 4)
	note(drill.Acked, 0, 1, 2, 3) // of 4 nothing was heard
	note(drill.Delivered, 0, 1)
	note(drill.Stored, 0, 2, 1, 1) // as the log has them
	c := drill.Count(slices.Values(events))
	fmt.Println("lost", c.Lost, "doubled", c.Doubled, "reordered", c.Reordered, "in doubt", c.InDoubt, "skipped", c.Skipped)
	for _, e := range c.Examples {
		fmt.Println(e)
	}
	// Output:
	// lost 1 doubled 1 reordered 1 in doubt 1 skipped 1
	// reordered: orders/customer-7 1 behind 2
	// doubled: orders/customer-7 1
	// lost: orders/customer-7 3 to 3
	// skipped: orders/customer-7 2 to 2
}

func ExampleParse() {
	s, err := drill.Parse([]byte(`{
		"name": "primary_slow", "expect": "stay",
		"faults": [{"kind": "slow", "on": "primary", "latency": "80ms", "after": "1s", "for": "5s"}],
		"budgets": {"pause": "1s"}
	}`))
	fmt.Println(s.Faults[0], err)
	_, err = drill.Parse([]byte(`{"name": "primary_slow", "expect": "stay", "faults": [{"kind": "slow", "on": "primray"}]}`))
	fmt.Println(err)
	// Output:
	// slow of the primary by 80ms, for 5s <nil>
	// drill: scenario "primary_slow": faults[0]: on "primray" is none of primary, standby, mirror, register; faults[0]: latency is for slow, which needs it
}
