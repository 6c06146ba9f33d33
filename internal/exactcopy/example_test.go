package exactcopy_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// Two batches with a hole of three offsets between them, and a process that goes on where the first
// stopped.
func Example() {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		log.Fatal(err)
	}
	defer kafka.Close()
	ctx := context.Background()
	target, err := rawkafka.Connect(ctx, []kgo.Opt{kgo.SeedBrokers(kafka.ListenAddrs()...)}, rawkafka.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer target.Close()
	topics, err := target.Topics(ctx, "orders")
	if err != nil {
		log.Fatal(err)
	}
	orders := rawkafka.Partition{Topic: "orders", TopicID: topics["orders"].ID}

	for range 2 {
		copier, err := exactcopy.New(ctx, exactcopy.Config{Cluster: target, TransactionalID: "kafkadr-example"})
		if err != nil {
			log.Fatal(err)
		}
		p, err := copier.Open(ctx, orders)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("goes on at", p.Position())
		if err := p.Append(ctx, batchAt(p.Position(), "one", "two")); err != nil {
			log.Fatal(err)
		}
		if err := p.Hole(ctx, 3); err != nil {
			log.Fatal(err)
		}
		if err := p.Flush(ctx, true); err != nil {
			log.Fatal(err)
		}
		copier.Close()
	}

	consumer, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.ConsumeTopics("orders"))
	if err != nil {
		log.Fatal(err)
	}
	defer consumer.Close()
	for n := 0; n < 4; {
		consumer.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			n++
			fmt.Println(r.Offset, string(r.Value))
		})
	}
	// Output:
	// goes on at 0
	// goes on at 5
	// 0 one
	// 1 two
	// 5 one
	// 6 two
}

func batchAt(offset int64, values ...string) batch.Batch {
	var rs []*kgo.Record
	for _, v := range values {
		rs = append(rs, &kgo.Record{Value: []byte(v), Timestamp: time.UnixMilli(1_700_000_000_000)})
	}
	raw, err := batch.Append(nil, offset, kgo.NoCompression(), rs...)
	if err != nil {
		log.Fatal(err)
	}
	b, err := batch.Parse(raw)
	if err != nil {
		log.Fatal(err)
	}
	return b
}
