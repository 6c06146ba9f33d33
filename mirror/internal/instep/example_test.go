package instep_test

import (
	"fmt"

	"github.com/kafkadr/kafkadr/mirror/internal/instep"
)

// What is never carried over can be printed, with the reasons.
func ExampleLeftOutConfigs() {
	for _, l := range instep.LeftOutConfigs() {
		if l.Name == "compression.type" || l.Name == "message.timestamp.type" {
			fmt.Printf("%s: %s\n", l.Name, l.Why)
		}
	}
	// Output:
	// compression.type: the copy is "producer": batches stay as they were compressed at the source
	// message.timestamp.type: the copy is CreateTime: LogAppendTime would put the copy's times in place of the source's
}
