package rawkafka_test

import (
	"context"
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// A partition's true log end is asked of its leader.
func Example() {
	ctx := context.Background()
	fake, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(1, "orders"), kfake.ClusterID("main"))
	if err != nil {
		log.Fatal(err)
	}
	defer fake.Close()
	cluster, err := rawkafka.Connect(ctx, []kgo.Opt{kgo.SeedBrokers(fake.ListenAddrs()...)}, rawkafka.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer cluster.Close()

	topics, err := cluster.Topics(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	p := rawkafka.Partition{Topic: "orders", TopicID: topics["orders"].ID, Partition: 0}
	ends, err := cluster.ListOffsets(ctx, []rawkafka.Partition{p}, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cluster.ID(), p, "ends at", ends[p].Offset)
	// Output: main orders/0 ends at 0
}
