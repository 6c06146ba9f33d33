package restore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// ErrTakenOver says that another restore of the same topics was started, which goes on with them.
var ErrTakenOver = errors.New("another restore of the same topics took over")

const (
	lockLease   = 1500 * time.Millisecond
	lockTimeout = 60_000 // of transactions that are never begun, in milliseconds
)

// A lock keeps two restores from making the same hole at once. Data needs none, since a sequence is a compare-and-append; of markers, a second
// process's last one would be taken. It is the epoch of a transactional id that source cluster and topics make: whoever starts raises it, and whoever finds
// it raised stops. An older holder may go on for lockLease, which a newer one waits for. No transaction is ever begun. Where there are no holes to make, there is no lock.
type lock struct {
	cluster *rawkafka.Cluster
	lease   time.Duration
	retry   func(op string, err error)
	shared  bool // somebody may have had it before

	id string // empty: no lock

	mu        sync.Mutex
	own       epochOf
	confirmed time.Time // when the last look that found it unchanged was begun
	lost      error
	changed   chan struct{}
}

type epochOf struct {
	pid   int64
	epoch int16
}

// lockID is the transactional id, or nothing where no holes are to be made.
func (r *runner) lockID() string {
	var holes int64
	names := sha256.New()
	for _, t := range r.topics {
		fmt.Fprintf(names, "%s\n", t.name)
		for _, j := range t.partitions {
			holes += j.todo.holeRuns
		}
	}
	if holes == 0 {
		return ""
	}
	return fmt.Sprintf("kafkadr-copy-%s-%x", r.info.ClusterID, names.Sum(nil)[:8])
}

// takeLock takes the topics over from whoever has them. Without the right to the transactional id there is no lock, and a warning.
func (r *runner) takeLock(ctx context.Context) (*lock, error) {
	l := &lock{cluster: r.cluster, lease: lockLease, retry: r.retry, id: r.lockID(), changed: make(chan struct{})}
	if r.cfg.quiet > 0 {
		l.lease = r.cfg.quiet
	}
	if l.id == "" {
		return l, nil
	}
	started := time.Now()
	if err := l.take(ctx); err != nil {
		if rawkafka.Denies(err) {
			r.warnings = append(r.warnings, fmt.Sprintf("two restores of the same topics at once aren't kept apart: transactional id %s: %v", l.id, err))
			l.id = ""
			return l, nil
		}
		return nil, fmt.Errorf("restore: take topics over: %w", err)
	}
	l.confirmed = started
	if l.own.epoch == 0 {
		return l, nil
	}
	l.shared = true
	return l, rawkafka.Sleep(ctx, l.lease+l.lease/3) // an older holder has stopped then
}

// take raises the epoch.
func (l *lock) take(ctx context.Context) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &l.id, lockTimeout
	req.ProducerID, req.ProducerEpoch = -1, -1
	return l.patiently(ctx, "take over", func() error {
		resp, err := req.RequestWith(ctx, l.cluster.Client())
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err == nil {
			l.own = epochOf{resp.ProducerID, resp.ProducerEpoch}
		}
		return err
	})
}

// patiently tries again what passes, for as long as an admin request may take.
func (l *lock) patiently(ctx context.Context, op string, f func() error) error {
	deadline := time.Now().Add(adminTimeout)
	for n := 0; ; n++ {
		err := f()
		passes := rawkafka.Retriable(err) || kerr.IsRetriable(err) || errors.Is(err, kerr.ConcurrentTransactions)
		if err == nil || ctx.Err() != nil || !passes || time.Now().After(deadline) {
			return err
		}
		l.retry(op, err)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
}

// keep looks at the lock until the context ends, and calls lost, once, where it is somebody else's.
func (l *lock) keep(ctx context.Context, lost func(error)) {
	for l.id != "" {
		started := time.Now()
		err := l.look(ctx)
		if ctx.Err() != nil {
			return
		}
		l.mu.Lock()
		switch {
		case err == nil:
			l.confirmed = started
		case errors.Is(err, ErrTakenOver):
			l.lost = err
		default:
			l.retry("look at the lock", err)
		}
		close(l.changed)
		l.changed = make(chan struct{})
		l.mu.Unlock()
		if errors.Is(err, ErrTakenOver) {
			lost(err)
			return
		}
		if rawkafka.Sleep(ctx, l.lease/4) != nil {
			return
		}
	}
}

// look asks whether the epoch is still ours.
func (l *lock) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(l.lease, time.Second))
	defer cancel()
	rs, err := l.cluster.Admin().DescribeTransactions(ctx, l.id)
	if err != nil {
		return err
	}
	r, ok := rs[l.id]
	switch {
	case !ok:
		return errors.New("no answer")
	case errors.Is(r.Err, kerr.TransactionalIDNotFound), r.Err == nil && (epochOf{r.ProducerID, r.ProducerEpoch} != l.own):
		return fmt.Errorf("restore: %w", ErrTakenOver)
	}
	return r.Err
}

// held returns when the lock was found unchanged within its lease.
func (l *lock) held(ctx context.Context) error {
	for {
		l.mu.Lock()
		ok, lost, changed := l.id == "" || time.Since(l.confirmed) < l.lease, l.lost, l.changed
		l.mu.Unlock()
		if lost != nil || ok {
			return lost
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
