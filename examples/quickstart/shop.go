package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
)

// shop is an application like many: it takes orders, and bills them in a
// consumer group. It doesn't see that there are two clusters.
type shop struct {
	kafka *failover.Client // was: *kgo.Client
	book  *book

	running      sync.WaitGroup
	close, leave context.CancelFunc // no more orders; no more bills
}

// openShop makes the application's one client. Replay has it keep what was
// acked until the standby has it, and produce it again there if need be.
func openShop(ctx context.Context, clusters []failover.Cluster, reg register.Register) (*shop, error) {
	kafka, err := failover.NewClient(ctx, failover.Config{ // was: kgo.NewClient(opts...)
		Clusters: clusters,
		Register: reg,
		Lease:    lease,
		Replay:   &failover.Replay{Every: 100 * time.Millisecond},
		Opts: []kgo.Opt{
			kgo.DefaultProduceTopic(orders), kgo.ProducerLinger(0),
			kgo.ConsumerGroup(billing.name), kgo.ConsumeTopics(orders), kgo.DisableAutoCommit(),
		},
	})
	if err != nil {
		return nil, err
	}
	return &shop{kafka: kafka, book: newBook()}, nil
}

// start lets it run until stop.
func (a *shop) start(ctx context.Context) {
	open, closeShop := context.WithCancel(ctx)
	working, leave := context.WithCancel(ctx)
	a.close, a.leave = closeShop, leave
	a.running.Go(func() { a.take(open) })
	a.running.Go(func() { a.bill(working) })
}

// stop takes no more orders, and waits until those that were taken are acked
// and billed.
func (a *shop) stop(ctx context.Context) error {
	a.close()
	if err := a.kafka.Flush(ctx); err != nil {
		return err
	}
	return a.book.wait(ctx, "every order is billed", func() bool { return len(a.book.unbilled()) == 0 })
}

// end ends it, wherever it is.
func (a *shop) end() {
	if a.close != nil {
		a.close()
		a.leave()
	}
	a.kafka.Close()
	a.running.Wait()
}

// take sends an order every 2 ms, the customers' in turn.
func (a *shop) take(ctx context.Context) {
	const customers = 50
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		r := kgo.KeyStringRecord(fmt.Sprintf("customer-%d", n%customers), fmt.Sprintf("order %d", n))
		r.Timestamp = time.Now().Truncate(time.Millisecond)
		a.book.send(r, n)
		a.kafka.Produce(context.WithoutCancel(ctx), r, a.book.ack)
		<-ticker.C
	}
}

// bill bills orders, and commits those that it has billed. A commit that
// fails, because the cluster dies or the records are of before the switch, is
// no reason to stop: what isn't committed comes again.
func (a *shop) bill(ctx context.Context) {
	for {
		fetches := a.kafka.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		fetches.EachRecord(a.book.bill)
		_ = a.kafka.CommitRecords(ctx, fetches.Records()...)
	}
}
