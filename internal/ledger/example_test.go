package ledger_test

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// What one process notes, another reads.
func Example() {
	ctx := context.Background()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		panic(err)
	}
	defer cluster.Close()
	cl, err := rawkafka.Connect(ctx, []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}, rawkafka.Config{})
	if err != nil {
		panic(err)
	}
	defer cl.Close()

	type position struct {
		Offset int64 `json:"offset"`
	}
	mine, err := ledger.Open(ctx, cl)
	if err != nil {
		panic(err)
	}
	if err := mine.Put(ctx, map[string]any{"copy/A/orders/0": position{42}}); err != nil {
		panic(err)
	}

	other, err := ledger.Open(ctx, cl)
	if err != nil {
		panic(err)
	}
	var p position
	ok, err := other.Get("copy/A/orders/0", &p)
	fmt.Println(ok, err, p.Offset)
	// Output: true <nil> 42
}
