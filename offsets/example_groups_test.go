package offsets_test

import (
	"context"
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/offsets"
)

// exampleCluster is a cluster with three records in orders/0.
func exampleCluster(ctx context.Context) (*kgo.Client, func()) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		log.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("orders"))
	if err != nil {
		log.Fatal(err)
	}
	for _, value := range []string{"first", "second", "third"} {
		if err := cl.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
			log.Fatal(err)
		}
	}
	return cl, func() { cl.Close(); cluster.Close() }
}

// A group's offsets go from one cluster to its exact copy, by a plan, and back
// to what was there before.
func ExampleGroupsPlan() {
	ctx := context.Background()
	source, done := exampleCluster(ctx)
	defer done()
	target, done := exampleCluster(ctx)
	defer done()
	var committed kadm.Offsets
	committed.Add(kadm.Offset{Topic: "orders", At: 2, LeaderEpoch: -1})
	if err := kadm.NewClient(source).CommitAllOffsets(ctx, "billing", committed); err != nil {
		log.Fatal(err)
	}

	groups, err := offsets.Capture(ctx, source, offsets.CaptureConfig{})
	if err != nil {
		log.Fatal(err)
	}
	plan, err := offsets.NewGroupsPlan(ctx, target, offsets.PlanConfig{Groups: groups})
	if err != nil {
		log.Fatal(err)
	}
	for _, g := range plan.Groups {
		for _, o := range g.Offsets {
			fmt.Println(g.Group, o.Do, o.Topic, o.Partition, o.Offset)
		}
	}
	var before *offsets.Before
	result, err := plan.Apply(ctx, target, offsets.ApplyConfig{
		Save: func(b *offsets.Before) error { before = b; return nil }, // into a file
	})
	if err != nil {
		log.Fatal(err) // an *offsets.RefusedError names what is in the way
	}
	fmt.Println("committed", result.Offsets)

	result, err = offsets.Rollback(ctx, target, before, offsets.RollbackConfig{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("taken back", result.Offsets)
	// Output:
	// billing commit orders 0 2
	// committed 1
	// taken back 1
}
