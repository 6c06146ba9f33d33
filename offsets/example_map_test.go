package offsets_test

import (
	"fmt"
	"log"

	"github.com/kafkadr/kafkadr/offsets"
)

// A copy of orders/0 into a topic that others write to as well.
func ExampleMap() {
	m, err := offsets.New(offsets.ID{Topic: "orders", TargetTopic: "A.orders"}, 1000, 50)
	if err != nil {
		log.Fatal(err)
	}
	// Three records, the marker of their transaction at 1003, two more, which
	// come behind somebody's record at 53.
	for _, r := range []offsets.Run{{1000, 50, 3}, {1004, 54, 2}} {
		if err := m.Append(r.Upstream, r.Downstream, r.Length); err != nil {
			log.Fatal(err)
		}
	}
	for _, committed := range []int64{900, 1001, 1003, 1006, 1010} {
		offset, how := m.Translate(committed)
		fmt.Println(committed, "is", offset, how)
	}
	offset, how := m.Inverse(53)
	fmt.Println("and back, 53 is", offset, how)
	// Output:
	// 900 is 50 before_start
	// 1001 is 51 exact
	// 1003 is 54 next
	// 1006 is 56 exact
	// 1010 is 56 past_end
	// and back, 53 is 1004 next
}
