package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
)

// app is an application like many: it produces orders, and consumes them in a
// group. It knows nothing of two clusters but for the two lines that are marked.
type app struct {
	kafka failover.Kafka // was: *kgo.Client
}

func newApp(ctx context.Context, where failover.Config) (*app, error) {
	where.Opts = []kgo.Opt{
		kgo.DefaultProduceTopic("orders"), kgo.ProducerLinger(0),
		kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit(),
	}
	kafka, err := failover.NewClient(ctx, where) // was: kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	return &app{kafka}, nil
}

// produce sends an order each 5 ms, until ctx ends, and says when one is acked.
func (a *app) produce(ctx context.Context, acked func(order string)) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		order := fmt.Sprintf("order %d", n)
		a.kafka.Produce(context.WithoutCancel(ctx), kgo.KeyStringRecord("customer", order), func(_ *kgo.Record, err error) {
			if err == nil {
				acked(order)
			}
		})
		<-ticker.C
	}
}

// consume bills orders, and commits those that it has billed. A commit that fails, because the
// cluster dies or the records are of before a switch, is no reason to stop: what isn't committed
// may come again.
func (a *app) consume(ctx context.Context, bill func(order string)) {
	for {
		fetches := a.kafka.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachRecord(func(r *kgo.Record) { bill(string(r.Value)) })
		_ = a.kafka.CommitRecords(ctx, fetches.Records()...)
	}
}
