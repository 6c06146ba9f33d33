package probe_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/probe"
)

func Example() {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		fmt.Println(err)
		return
	}
	target := probe.Target{Name: "primary", Opts: []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}}
	look := probe.AllOf(probe.Metadata(probe.MetadataConfig{}), probe.RoundTrip(probe.RoundTripConfig{Topic: "canary", Create: true}))

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m, err := probe.NewMonitor(look, target, probe.Rule{Interval: 50 * time.Millisecond}, probe.Hooks{OnChange: func(c probe.Change) {
		fmt.Println(c.From, "->", c.To)
		switch c.To {
		case probe.Healthy:
			cluster.Close() // the disaster
		case probe.Down:
			cancel()
		}
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := m.Run(ctx); !errors.Is(err, context.Canceled) {
		fmt.Println(err)
	}
	fmt.Println(m.Status().Kind)
	// Output:
	// unknown -> healthy
	// healthy -> suspect
	// suspect -> down
	// unreachable
}
