package mm2_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/offsets/mm2"
)

// The source is lost. MirrorMaker has left a copy of orders, and two groups' checkpoints.
func Example() {
	ctx := context.Background()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "east.orders", "east.checkpoints.internal"))
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()
	target, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		log.Fatal(err)
	}
	defer target.Close()
	mirrorMaker(ctx, target)

	tr, err := mm2.Open(ctx, target, mm2.Config{SourceAlias: "east"})
	if err != nil {
		log.Fatal(err)
	}
	groups, err := tr.Groups(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, g := range groups {
		fmt.Printf("%s: %s/%d %d is %d (%s), MirrorMaker says %d\n", g.Group, g.Topic, g.Partition, g.Upstream, g.Offset, g.How, g.Checkpoint)
	}
	// Output:
	// billing: east.orders/0 4000 is 4000 (exact), MirrorMaker says 1
	// search: east.orders/0 5000 is 5000 (exact), MirrorMaker says 5000
}

// mirrorMaker writes what MirrorMaker would.
func mirrorMaker(ctx context.Context, target *kgo.Client) {
	var rs []*kgo.Record
	for i := range 5000 {
		rs = append(rs, &kgo.Record{Topic: "east.orders", Value: fmt.Append(nil, "order ", i), Timestamp: time.UnixMilli(int64(i))})
	}
	for _, c := range []mm2.Checkpoint{
		{Group: "billing", Topic: "east.orders", Upstream: 4000, Downstream: 1},
		{Group: "search", Topic: "east.orders", Upstream: 5000, Downstream: 5000},
	} {
		key, value, err := c.Encode()
		if err != nil {
			log.Fatal(err)
		}
		rs = append(rs, &kgo.Record{Topic: "east.checkpoints.internal", Key: key, Value: value})
	}
	if err := target.ProduceSync(ctx, rs...).FirstErr(); err != nil {
		log.Fatal(err)
	}
}
