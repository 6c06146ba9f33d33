package copylock

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/clock"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const (
	transactionTimeout = 60_000 // of transactions that are never begun, in milliseconds
	atOnce             = 16     // claims
	perLook            = 1000   // topics in a request
	lookTimeout        = time.Second
	claimTries         = 5
)

func transactionalID(topic kadm.TopicID) string {
	return "kafkadr-copy-" + hex.EncodeToString(topic[:])
}

// Claim takes topics over from whoever has them: what other processes do there has ended when it
// returns. shared says that somebody may have had one before: then it waits for a lease and a
// third. Without the right to a topic's transactional id, or on a target that doesn't know the
// requests, that topic has no lock, and the error is one *[DeniedError] for all of those; all
// others are claimed.
//
// Two processes that claim several topics at the same moment may cross. Who has the first topic, by
// ID, then takes what it lost of the others back.
func (l *Locks) Claim(ctx context.Context, topics ...kadm.TopicID) (shared bool, err error) {
	topics = slices.Clone(topics)
	slices.SortFunc(topics, func(a, b kadm.TopicID) int { return bytes.Compare(a[:], b[:]) })
	topics = slices.Compact(topics)
	if err := l.unsupported(ctx, topics); err != nil {
		return false, err
	}
	var denied *DeniedError
	for try, left := 0, topics; len(left) > 0 && try < claimTries; try++ {
		had, err := l.raise(ctx, left, &denied)
		if err != nil {
			return shared, fmt.Errorf("claim: %w", err)
		}
		if !had {
			break
		}
		shared = true
		if err := rawkafka.Sleep(ctx, l.cfg.Lease+l.cfg.Lease/3); err != nil { // an older holder has stopped then
			return shared, err
		}
		if len(topics) == 1 {
			break
		}
		if err := l.patiently(ctx, func() error { return l.look(ctx, topics) }); err != nil {
			return shared, fmt.Errorf("claim: %w", err)
		}
		if left = l.lost(topics); slices.Contains(left, topics[0]) {
			break
		}
	}
	if denied != nil {
		return shared, denied
	}
	return shared, nil
}

// unsupported is a *[DeniedError] for all topics where the target can't show the epochs
// (DescribeTransactions, Kafka 3.0): a lock that can't be looked at would be waited for without
// end.
func (l *Locks) unsupported(ctx context.Context, topics []kadm.TopicID) error {
	if len(topics) == 0 {
		return nil
	}
	tctx, cancel := context.WithTimeout(ctx, max(l.cfg.Lease, lookTimeout))
	defer cancel()
	id := transactionalID(topics[0])
	got, err := l.cl.Admin().DescribeTransactions(tctx, id)
	err = errors.Join(err, got[id].Err)
	if !rawkafka.Unsupported(err) {
		return nil // else it shows later
	}
	for _, id := range topics {
		l.put(id, &lock{denied: true})
	}
	return &DeniedError{Topics: topics, Err: err}
}

// raise raises the topics' epochs, and says whether one had been raised before.
func (l *Locks) raise(ctx context.Context, topics []kadm.TopicID, denied **DeniedError) (had bool, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, id := range topics {
		g.Go(func() error {
			started := l.cfg.Clock()
			own, err := l.init(ctx, id)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case rawkafka.Denies(err), rawkafka.Unsupported(err):
				if *denied == nil {
					*denied = &DeniedError{Err: err}
				}
				(*denied).Topics = append((*denied).Topics, id)
				l.put(id, &lock{denied: true})
			case err != nil:
				return err
			default:
				had = had || own.epoch > 0
				l.put(id, &lock{own: own, confirmed: started, asked: time.Now()})
			}
			return nil
		})
	}
	return had, g.Wait()
}

func (l *Locks) put(id kadm.TopicID, t *lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topics[id] = t
	l.signal()
}

// lost are those of the topics that were found to be another's.
func (l *Locks) lost(topics []kadm.TopicID) (lost []kadm.TopicID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range topics {
		if l.topics[id].lost != nil {
			lost = append(lost, id)
		}
	}
	return lost
}

func (l *Locks) init(ctx context.Context, topic kadm.TopicID) (own epoch, err error) {
	id := transactionalID(topic)
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &id, transactionTimeout
	req.ProducerID, req.ProducerEpoch = -1, -1
	err = l.patiently(ctx, func() error {
		resp, err := req.RequestWith(ctx, l.cl.Client())
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err == nil {
			own = epoch{resp.ProducerID, resp.ProducerEpoch}
		}
		return err
	})
	return own, err
}

// patiently tries again what passes.
func (l *Locks) patiently(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(l.cfg.RetryFor)
	for n := 0; ; n++ {
		err := f()
		passes := rawkafka.Retriable(err) || kerr.IsRetriable(err) || errors.Is(err, kerr.ConcurrentTransactions) || errors.Is(err, context.DeadlineExceeded)
		if err == nil || ctx.Err() != nil || !passes || time.Now().After(deadline) {
			return err
		}
		l.cfg.OnRetry("take over", err)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
}

// look asks whether the epochs are still ours, and wakes those who wait for it. A coordinator
// forgets an id that nobody has raised for a week: it is raised again.
func (l *Locks) look(ctx context.Context, topics []kadm.TopicID) error {
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.signal()
	}()
	var errs []error
	for some := range slices.Chunk(topics, perLook) {
		names := make(map[string]kadm.TopicID, len(some))
		ids := make([]string, len(some))
		for i, topic := range some {
			ids[i] = transactionalID(topic)
			names[ids[i]] = topic
		}
		started := l.cfg.Clock()
		tctx, cancel := context.WithTimeout(ctx, max(l.cfg.Lease, lookTimeout))
		got, err := l.cl.Admin().DescribeTransactions(tctx, ids...)
		cancel()
		errs = append(errs, err)
		for _, d := range got {
			if topic, ok := names[d.TxnID]; ok {
				errs = append(errs, l.seen(ctx, topic, d, started))
			}
		}
	}
	return errors.Join(errs...)
}

// seen takes in what a topic's coordinator says.
func (l *Locks) seen(ctx context.Context, topic kadm.TopicID, d kadm.DescribedTransaction, started clock.Instant) error {
	if errors.Is(d.Err, kerr.TransactionalIDNotFound) {
		return l.renew(ctx, topic)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[topic]
	switch {
	case d.Err != nil || t.denied:
		return d.Err
	case t.own == epoch{d.ProducerID, d.ProducerEpoch}:
		t.confirmed = started
	case started.Mono.After(t.confirmed.Mono): // not one that we have raised meanwhile
		t.lost = ErrTakenOver
	}
	return nil
}

// renew raises a forgotten id again. Where somebody else has done so meanwhile, the lock counts
// from when that one has stopped.
func (l *Locks) renew(ctx context.Context, topic kadm.TopicID) error {
	started := l.cfg.Clock()
	own, err := l.init(ctx, topic)
	if err == nil && own.epoch > 0 {
		err = rawkafka.Sleep(ctx, l.cfg.Lease+l.cfg.Lease/3)
		started = clock.Instant{}
	}
	if err == nil {
		l.put(topic, &lock{own: own, confirmed: started, asked: time.Now()})
	}
	return err
}
