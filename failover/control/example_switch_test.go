package control_test

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/register"
)

// A switch on command: the plan says what would be done, and Run does it.
func ExampleController_Plan() {
	ctx := context.Background()
	primary, standby := start("primary-id"), start("standby-id")
	defer primary.Close()
	defer standby.Close()

	reg := register.NewMemory() // where several processes are involved: a bucket
	if _, err := register.Begin(ctx, reg, "default", register.Epoch{Active: "primary", By: "operator"}); err != nil {
		panic(err)
	}
	c, err := control.New(control.Config{
		Clusters: []failover.Cluster{
			{Name: "primary", Opts: []kgo.Opt{kgo.SeedBrokers(primary.ListenAddrs()...)}},
			{Name: "standby", Opts: []kgo.Opt{kgo.SeedBrokers(standby.ListenAddrs()...)}},
		},
		Register: reg,
		Lease:    1, // no client writes
	})
	if err != nil {
		panic(err)
	}
	plan, err := c.Plan(ctx, "standby", control.Failover)
	if err != nil {
		panic(err)
	}
	for _, s := range plan.Steps {
		fmt.Println(s.Step+":", s.Do)
	}
	report, err := plan.Run(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(report.End, "from", report.From, "to", report.To, "in epoch", report.Opened)
	// Output:
	// close: write the closing epoch 2: clients stop
	// lease: wait for what is left of the lease of 1ns, unless that is confirmed
	// forks: note the ends of 1 topics of standby
	// open: write the opening epoch 3: clients go to standby
	// switched from primary to standby in epoch 3
}

func start(id string) *kfake.Cluster {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID(id))
	if err != nil {
		panic(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		panic(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(context.Background(), 1, 1, nil, "orders"); err != nil {
		panic(err)
	}
	return c
}
