package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// Client is what the load needs of a client; a *[kgo.Client] has it, and so has failover's.
type Client interface {
	Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error))
	Flush(ctx context.Context) error
	PollRecords(ctx context.Context, maxPollRecords int) kgo.Fetches
	CommitRecords(ctx context.Context, rs ...*kgo.Record) error
	Close()
}

// apps are the applications: producers and consumers, and what they know.
type apps struct {
	load      Load
	stamp     stamp
	ledger    *Ledger
	meter     *meter
	producers []Client
	consumers []Client
}

func newApps(l Load) *apps {
	a := &apps{load: l, stamp: newStamp(l.Size), ledger: &Ledger{}}
	a.meter = newMeter(a.ledger.ends)
	return a
}

// open makes the clients. What was opened before a fault is closed.
func (a *apps) open(ctx context.Context, client func(ctx context.Context, name string, opts ...kgo.Opt) (Client, error)) error {
	add := func(to *[]Client, n int, kind string, opts ...kgo.Opt) error {
		for i := range n {
			c, err := client(ctx, fmt.Sprintf("%s-%d", kind, i), opts...)
			if err != nil {
				a.close()
				return fmt.Errorf("%s %d: %w", kind, i, err)
			}
			*to = append(*to, c)
		}
		return nil
	}
	if err := add(&a.producers, a.load.Producers, "producer", kgo.ProducerLinger(0)); err != nil {
		return err
	}
	return add(&a.consumers, a.load.Consumers, "consumer", kgo.ConsumerGroup(a.load.Group), kgo.ConsumeTopics(a.load.Topics...),
		kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
}

func (a *apps) close() {
	for _, c := range append(a.consumers, a.producers...) {
		c.Close()
	}
}

// produce sends at the rate until stop is closed, then waits until there is an answer for every
// record.
func (a *apps) produce(ctx context.Context, stop <-chan struct{}) error {
	var g errgroup.Group
	for i, c := range a.producers {
		g.Go(func() error {
			a.steady(ctx, stop, c, a.load.keys(i))
			return c.Flush(ctx)
		})
	}
	return g.Wait()
}

// tick is how often a producer sends.
const tick = 5 * time.Millisecond

// steady sends as many records as there ought to be by now, over the keys in turn.
func (a *apps) steady(ctx context.Context, stop <-chan struct{}, c Client, keys []Key) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	perTick := float64(a.load.Rate) / float64(len(a.producers)) * tick.Seconds()
	due, next := 0.0, 0
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-ticker.C: // ticks that are late are dropped: a blocked producer doesn't make up for them
		}
		for due += perTick; due >= 1; due-- {
			a.send(ctx, c, keys[next%len(keys)])
			next++
		}
	}
}

// send gives the key's next record to the client.
func (a *apps) send(ctx context.Context, c Client, k Key) int64 {
	sequence := a.ledger.Next(k)
	c.Produce(ctx, a.stamp.record(k, sequence), func(r *kgo.Record, err error) {
		if err != nil {
			a.meter.fail("produce", err)
			return
		}
		a.ledger.Note(Event{Kind: Acked, Key: k, Sequence: sequence})
		a.meter.ack(r)
	})
	return sequence
}

// last sends one more record of each key, and returns when these were consumed, and so all that a
// group can still get before them.
func (a *apps) last(ctx context.Context) error {
	ends := map[Key]int64{}
	for i, c := range a.producers {
		for _, k := range a.load.keys(i) {
			ends[k] = a.send(ctx, c, k)
		}
		if err := c.Flush(ctx); err != nil {
			return err
		}
	}
	return a.meter.until(ctx, "the last records are consumed", func(view) bool {
		for k, sequence := range ends {
			if a.ledger.Delivered(k, sequence) {
				delete(ends, k)
			}
		}
		return len(ends) == 0
	})
}

// consume polls, notes and commits until the context ends.
func (a *apps) consume(ctx context.Context) {
	var g errgroup.Group
	for _, c := range a.consumers {
		g.Go(func() error {
			for ctx.Err() == nil {
				if fetches := c.PollRecords(ctx, 500); fetches.IsClientClosed() || !a.deliver(ctx, c, fetches) {
					break
				}
			}
			return nil
		})
	}
	_ = g.Wait()
}

// deliver says whether to go on.
func (a *apps) deliver(ctx context.Context, c Client, fetches kgo.Fetches) bool {
	fetches.EachError(func(_ string, _ int32, err error) {
		if ctx.Err() == nil {
			a.meter.fail("poll", err)
		}
	})
	records := fetches.Records()
	for _, r := range records {
		k, sequence, ours, err := a.stamp.read(r)
		switch {
		case err != nil:
			a.ledger.Foreign(k, err.Error())
		case ours:
			a.ledger.Note(Event{Kind: Delivered, Key: k, Sequence: sequence})
			a.meter.consume(k, sequence)
		}
	}
	if len(records) > 0 {
		if err := c.CommitRecords(ctx, records...); err != nil && ctx.Err() == nil {
			a.meter.fail("commit", err)
		}
	}
	return true
}

// until returns when what the meter shows is so.
func (m *meter) until(ctx context.Context, what string, so func(view) bool) error {
	for {
		v, changed := m.look()
		if so(v) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, errors.Join(context.Cause(ctx)))
		}
	}
}
