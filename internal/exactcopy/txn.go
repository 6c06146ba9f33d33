package exactcopy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// transactions make holes where markers are denied or not known: each is begun with the partition
// in it and ended with nothing in it, so that the coordinator writes one marker. The transactional
// id is the partition's own: taking it over ends what a dead process left open.
type transactions struct {
	id    string
	pid   int64
	epoch int16
}

// transactionTimeout is when the coordinator ends a transaction by itself.
const transactionTimeout = time.Minute

func (p *Partition) transactionalID() string {
	return fmt.Sprintf("%s-%s-%d", p.c.cfg.TransactionalID, hex.EncodeToString(p.name.TopicID[:]), p.name.Partition)
}

// takeOver ends, on a target where markers are denied, a transaction that a dead process left,
// before the end is read: the coordinator would end it later, and shift the log.
func (p *Partition) takeOver(ctx context.Context) error {
	m, err := p.c.Method(ctx)
	if err != nil || m != Transactions {
		return err
	}
	if err = p.initTransactions(ctx); rawkafka.Denies(err) || rawkafka.Unsupported(err) {
		return nil // nobody of ours has one open, then; Hole will say it
	}
	return err
}

func (p *Partition) initTransactions(ctx context.Context) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	id := p.transactionalID()
	req.TransactionalID, req.TransactionTimeoutMillis = &id, int32(transactionTimeout.Milliseconds())
	return p.passes(ctx, "init producer id", func() error {
		resp, err := req.RequestWith(ctx, p.c.cfg.Cluster.Client())
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err == nil {
			p.txn = &transactions{id, resp.ProducerID, resp.ProducerEpoch}
		}
		return err
	})
}

// passes tries until it works, or the error doesn't pass, or RetryFor is over.
func (p *Partition) passes(ctx context.Context, op string, f func() error) error {
	start := time.Now()
	for try := 1; ; try++ {
		err := f()
		if err == nil {
			return nil
		}
		if !rawkafka.Retriable(err) && !errors.Is(err, kerr.ConcurrentTransactions) || time.Since(start) > p.c.cfg.RetryFor {
			return fmt.Errorf("%s: %w", op, err)
		}
		p.c.cfg.OnRetry(op, at(p.name, p.Position(), op, err))
		if err := rawkafka.Sleep(ctx, min(rawkafka.Backoff(try), 200*time.Millisecond)); err != nil {
			return err
		}
	}
}

// endTransactions makes n holes, each awaited: EndTxn answers before the marker is in the log.
func (p *Partition) endTransactions(ctx context.Context, n int64) error {
	if p.txn == nil {
		if err := p.initTransactions(ctx); err != nil {
			return err
		}
	}
	target := p.end + n
	for p.end < target {
		if err := p.c.cfg.MayHole(ctx, p.name); err != nil {
			return err
		}
		if err := p.endTransaction(ctx); err != nil {
			return undecided(err) // Open takes over, and ends it
		}
		if err := p.grown(ctx, p.end+1, target); err != nil {
			return err
		}
	}
	return nil
}

func (p *Partition) endTransaction(ctx context.Context) error {
	add := kmsg.NewPtrAddPartitionsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch = p.txn.id, p.txn.pid, p.txn.epoch
	rt := kmsg.NewAddPartitionsToTxnRequestTopic()
	rt.Topic, rt.Partitions = p.name.Topic, []int32{p.name.Partition}
	add.Topics = append(add.Topics, rt)
	err := p.passes(ctx, "add partitions to txn", func() error {
		resp, err := add.RequestWith(ctx, p.c.cfg.Cluster.Client())
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			for _, a := range t.Partitions {
				if err := kerr.ErrorForCode(a.ErrorCode); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = p.txn.id, p.txn.pid, p.txn.epoch, true
	resp, err := end.RequestWith(ctx, p.c.cfg.Cluster.Client())
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("end txn: %w", err)
	}
	if resp.Version >= 5 && resp.ProducerID >= 0 { // KIP-890: each transaction has its own epoch
		p.txn.pid, p.txn.epoch = resp.ProducerID, resp.ProducerEpoch
	}
	return nil
}

// grown waits until the true end has reached want.
func (p *Partition) grown(ctx context.Context, want, target int64) error {
	start := time.Now()
	for try := 1; ; try++ {
		end, err := p.endUpTo(ctx, want)
		switch {
		case err != nil && !rawkafka.Retriable(err):
			return err
		case err == nil && end > want:
			return shifted(p.name, want, end)
		case err == nil && end == want:
			return p.moved(end, target, false)
		case time.Since(start) > p.c.cfg.RetryFor:
			return undecided(errShort)
		}
		if err := rawkafka.Sleep(ctx, min(rawkafka.Backoff(try)/10, 100*time.Millisecond)); err != nil {
			return err
		}
	}
}
