package mirror_test

import (
	"context"
	"fmt"
	"log"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/mirror"
)

// A cluster's records are copied to a standby, behind a prefix, up to where they end now.
func Example() {
	ctx := context.Background()
	source, standby := cluster("orders"), cluster()
	defer source.Close()
	defer standby.Close()
	from, to := []kgo.Opt{kgo.SeedBrokers(source.ListenAddrs()...)}, []kgo.Opt{kgo.SeedBrokers(standby.ListenAddrs()...)}
	write(ctx, from, "one", "two")

	m, err := mirror.New(mirror.Config{Source: from, Target: to, Prefix: "A.", Once: true})
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Run(ctx); err != nil {
		log.Fatal(err)
	}
	s := m.Status()
	fmt.Printf("%d records, %d behind\n", s.Records, s.LagRecords)

	consumer, err := kgo.NewClient(append(to, kgo.ConsumeTopics("A.orders"))...)
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	for n := 0; n < 2; {
		consumer.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			n++
			fmt.Println(r.Topic, r.Offset, string(r.Value))
		})
	}
	// Output:
	// 2 records, 0 behind
	// A.orders 0 one
	// A.orders 1 two
}

func cluster(topics ...string) *kfake.Cluster {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topics...))
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func write(ctx context.Context, opts []kgo.Opt, values ...string) {
	cl, err := kgo.NewClient(append(opts, kgo.DefaultProduceTopic("orders"))...)
	if err != nil {
		log.Fatal(err)
	}
	defer cl.Close()
	for _, v := range values {
		if err := cl.ProduceSync(ctx, kgo.StringRecord(v)).FirstErr(); err != nil {
			log.Fatal(err)
		}
	}
}
