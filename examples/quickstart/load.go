package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// applications produce to a cluster and consume from it, until it is gone.
type applications struct {
	cluster *kfake.Cluster
	ledger  *ledger
	plain   *kgo.Client // orders and profiles
	txn     *kgo.Client // payments
	seed    uint64
	running sync.WaitGroup
	cancel  context.CancelFunc
}

func newApplications(ctx context.Context, c *kfake.Cluster, seed uint64) (*applications, error) {
	a := &applications{cluster: c, ledger: newLedger(), seed: seed}
	var err error
	if a.plain, err = kgo.NewClient(append(clientOpts(c), kgo.RecordDeliveryTimeout(2*time.Second))...); err != nil {
		return nil, err
	}
	if a.txn, err = kgo.NewClient(append(clientOpts(c), kgo.TransactionalID("payments-app"), kgo.RecordDeliveryTimeout(2*time.Second))...); err != nil {
		return nil, err
	}
	return a, createTopics(ctx, a.plain)
}

// fill gives the topics a past.
func (a *applications) fill(ctx context.Context) error {
	for _, fill := range []struct {
		rounds int
		send   func(context.Context, *rand.Rand) error
	}{{60, a.sendOrders}, {40, a.sendPayments}, {12, a.sendProfiles}} {
		random := a.random(7)
		for range fill.rounds {
			if err := fill.send(ctx, random); err != nil {
				return err
			}
		}
	}
	a.cluster.Compact()
	return nil
}

// start lets the applications go on until the cluster is gone.
func (a *applications) start(ctx context.Context) {
	ctx, a.cancel = context.WithCancel(ctx)
	for i, send := range []func(context.Context, *rand.Rand) error{a.sendOrders, a.sendPayments, a.sendProfiles} {
		random := a.random(uint64(i) + 100)
		a.running.Go(func() { everyNowAndThen(ctx, random, send) })
	}
	for _, g := range groups {
		a.running.Go(func() { a.consume(ctx, g) })
	}
}

// lost ends the applications, which go down with their cluster: what they
// were waiting for never came.
func (a *applications) lost() {
	a.cancel()
	a.running.Go(a.plain.Close)
	a.running.Go(a.txn.Close)
	a.running.Wait()
}

func (a *applications) random(stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(a.seed, stream)) //nolint:gosec // not a secret
}

// everyNowAndThen sends until sending fails.
func everyNowAndThen(ctx context.Context, random *rand.Rand, send func(context.Context, *rand.Rand) error) {
	for send(ctx, random) == nil {
		time.Sleep(time.Duration(5+random.IntN(15)) * time.Millisecond)
	}
}

// sendOrders sends keyed records with headers.
func (a *applications) sendOrders(ctx context.Context, random *rand.Rand) error {
	var records []*kgo.Record
	for range 1 + random.IntN(200) {
		r := newRecord(orders, fmt.Sprintf("customer-%d", random.IntN(500)), random, 200)
		r.Headers = []kgo.RecordHeader{
			{Key: "trace", Value: []byte(fmt.Sprint(random.Uint64()))},
			{Key: "tag", Value: []byte("a")}, {Key: "tag", Value: nil}, // doubled, and null
		}
		records = append(records, r)
	}
	return a.sendPlain(ctx, records)
}

// sendProfiles sends new versions of a few keys, and now and then a tombstone.
func (a *applications) sendProfiles(ctx context.Context, random *rand.Rand) error {
	var records []*kgo.Record
	for range 1 + random.IntN(30) {
		r := newRecord(profiles, fmt.Sprintf("user-%d", random.IntN(60)), random, 100)
		if random.IntN(20) == 0 {
			r.Value = nil
		}
		records = append(records, r)
	}
	return a.sendPlain(ctx, records)
}

func (a *applications) sendPlain(ctx context.Context, records []*kgo.Record) error {
	var failed error
	for _, result := range a.plain.ProduceSync(ctx, records...) {
		if failed = result.Err; failed != nil {
			a.ledger.noteUnacked(result.Record)
			continue
		}
		a.ledger.note(committed, result.Record)
	}
	return failed
}

// sendPayments sends a transaction; every fourth is aborted.
func (a *applications) sendPayments(ctx context.Context, random *rand.Rand) error {
	if err := a.txn.BeginTransaction(); err != nil {
		return err
	}
	var records []*kgo.Record
	for range 1 + random.IntN(40) {
		records = append(records, newRecord(payments, fmt.Sprintf("account-%d", random.IntN(200)), random, 150))
	}
	end, wanted := kgo.TryCommit, committed
	if random.IntN(4) == 0 {
		end, wanted = kgo.TryAbort, aborted
	}
	if err := a.txn.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err // not committed: nobody may ever see these
	}
	err := a.txn.EndTransaction(ctx, end)
	if err != nil && wanted == committed {
		wanted = doubtful // the coordinator may have committed it
	}
	a.ledger.note(wanted, records...)
	return err
}

func newRecord(topic, key string, random *rand.Rand, size int) *kgo.Record {
	value := make([]byte, random.IntN(size))
	for i := range value {
		value[i] = byte('a' + random.IntN(26))
	}
	return &kgo.Record{Topic: topic, Key: []byte(key), Value: value, Timestamp: time.Now().Truncate(time.Millisecond)}
}
