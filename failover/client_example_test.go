package failover_test

import (
	"context"
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
)

// send is what an application does: it doesn't know which client it has.
func send(ctx context.Context, cl failover.Kafka, value string) error {
	return cl.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr()
}

// An application that has been given a failover client goes on through a switch. Here a test plays
// the controller.
func Example() {
	ctx := context.Background()
	clusters := []failover.Cluster{{Name: "east"}, {Name: "west"}}
	for i := range clusters {
		fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
		if err != nil {
			log.Fatal(err)
		}
		defer fake.Close()
		clusters[i].Opts = []kgo.Opt{kgo.SeedBrokers(fake.ListenAddrs()...)}
	}
	reg := register.NewMemory() // an operator begins a scope, once: kdr init-scope
	if _, err := register.Begin(ctx, reg, "default", register.Epoch{Active: "east", By: "operator"}); err != nil {
		log.Fatal(err)
	}
	switched := make(chan failover.ClientReport, 1)
	cl, err := failover.NewClient(ctx, failover.Config{
		Clusters: clusters,
		Opts:     []kgo.Opt{kgo.DefaultProduceTopic("orders")},
		Register: reg,
		Hooks:    failover.Hooks{OnSwitch: func(r failover.ClientReport) { switched <- r }},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer cl.Close()
	if err := send(ctx, cl, "the first"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("on", cl.Status().Cluster)

	closing, err := register.Advance(ctx, reg, latest(ctx, reg), register.Epoch{From: "east", Target: "west", Switch: "1", By: "example"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := register.Advance(ctx, reg, closing, register.Epoch{Active: "west", From: "east", Target: "west", Switch: "1", By: "example"}); err != nil {
		log.Fatal(err)
	}
	r := <-switched
	if err := send(ctx, cl, "the second"); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("from %s to %s: %d in doubt\n", r.From, r.To, r.InDoubt)
	// Output:
	// on east
	// from east to west: 0 in doubt
}

func latest(ctx context.Context, reg register.Register) register.Epoch {
	e, err := register.Latest(ctx, reg, "default")
	if err != nil {
		log.Fatal(err)
	}
	return e
}
