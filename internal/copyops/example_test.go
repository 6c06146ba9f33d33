package copyops_test

import (
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// Two batches, of which the second one's transaction was aborted, in a log that ends behind them.
func Example() {
	h := opstest.History{Start: 10, End: 14}
	for _, aborted := range []bool{false, true} {
		base := 10 + 2*int64(len(h.Batches))
		raw, err := batch.Append(nil, base, kgo.NoCompression(), &kgo.Record{Offset: base}, &kgo.Record{Offset: base + 1})
		if err != nil {
			log.Fatal(err)
		}
		h.Batches = append(h.Batches, opstest.Batch{Raw: raw, Aborted: aborted})
	}
	ops := copyops.New(h.Source(10, 14), copyops.Filter{}, 10, 14)
	defer ops.Close()
	for {
		op, err := ops.Next()
		if err != nil {
			break // io.EOF
		}
		fmt.Printf("[%d, %d) hole: %v\n", op.Base, op.End, op.Hole())
	}
	// Output:
	// [10, 12) hole: false
	// [12, 14) hole: true
}
