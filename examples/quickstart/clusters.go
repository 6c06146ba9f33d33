package main

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The topics of the story.
const (
	orders   = "orders"   // keyed, with headers
	payments = "payments" // transactions, some of them aborted
	profiles = "profiles" // compacted: the last record of each key counts
)

var topics = []string{orders, payments, profiles}

// startCluster starts a Kafka of three brokers inside this process.
func startCluster(id string) (*kfake.Cluster, error) {
	return kfake.NewCluster(kfake.NumBrokers(3), kfake.ClusterID(id+"-cluster"))
}

// clientOpts are the options of every client of a cluster.
func clientOpts(c *kfake.Cluster) []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.DisableClientMetrics()}
}

// createTopics creates the story's topics.
func createTopics(ctx context.Context, cl *kgo.Client) error {
	compact := "compact"
	for _, t := range []struct {
		name       string
		partitions int32
		configs    map[string]*string
	}{
		{orders, 4, nil},
		{payments, 2, nil},
		{profiles, 2, map[string]*string{"cleanup.policy": &compact}},
	} {
		if _, err := kadm.NewClient(cl).CreateTopic(ctx, t.partitions, 3, t.configs, t.name); err != nil {
			return fmt.Errorf("create topic %s: %w", t.name, err)
		}
	}
	return nil
}

// withAdmin does something with an admin client of a cluster.
func withAdmin(c *kfake.Cluster, do func(*kadm.Client) error) error {
	cl, err := kgo.NewClient(clientOpts(c)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return do(kadm.NewClient(cl))
}
