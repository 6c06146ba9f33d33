package exactcopy

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// Open reads last sequence, then true end, once nothing of ours is under way there: a Partition of
// the same name that is still open is closed first. Moved leaders and lost connections are followed
// for RetryFor.
func (c *Copier) Open(ctx context.Context, name rawkafka.Partition) (*Partition, error) {
	p := &Partition{c: c, name: name, prod: newProducer(c.cfg.TransactionalID, name), wake: make(chan struct{}, 1)}
	p.prod.first, p.prod.most = c.cfg.first, c.cfg.epochs
	err := c.opened(p, func() error {
		if err := p.takeOver(ctx); err != nil {
			return err
		}
		return p.learn(ctx)
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// opened closes an open Partition of the same name, lets p learn where it stands, and notes it.
func (c *Copier) opened(p *Partition, learn func() error) error {
	c.mu.Lock()
	old, closed := c.open[p.name], c.closed
	c.mu.Unlock()
	if closed {
		return at(p.name, 0, "open", ErrClosed)
	}
	if old != nil {
		old.Close()
	}
	if err := learn(); err != nil {
		return at(p.name, 0, "open", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return at(p.name, p.end, "open", ErrClosed)
	}
	c.open[p.name] = p
	return nil
}

func (c *Copier) forget(p *Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[p.name] == p {
		delete(c.open, p.name)
	}
}

// learn reads where the log and its producer stand.
func (p *Partition) learn(ctx context.Context) error {
	return p.retry(ctx, "open", func() error {
		f, err := p.facts(ctx)
		if err != nil {
			return err
		}
		now, err := f.standing()
		switch {
		case err != nil:
			return err
		case now.found:
			p.prod.resume(now.gen, now.epoch, now.sequence)
		default:
			p.prod.start(f.end)
		}
		p.end, p.position, p.durable = f.end, f.end, f.end
		p.doubt = true
		return nil
	})
}

// facts asks what is known of our producer. Where the end isn't on all replicas, the log isn't
// read.
func (p *Partition) facts(ctx context.Context) (f facts, err error) {
	if f.before, err = p.remembered(ctx); err != nil {
		return f, err
	}
	if f.end, f.watermark, err = p.ends(ctx); err != nil {
		return f, err
	}
	if f.end > 0 && f.watermark == f.end {
		if f.tail, err = p.tail(ctx, f.end); err != nil {
			return f, err
		}
	}
	f.after, err = p.remembered(ctx)
	return f, err
}

// retry tries until it works, with the partition's leader at hand, or the error isn't one that
// passes, or RetryFor is over.
func (p *Partition) retry(ctx context.Context, op string, f func() error) error {
	start := time.Now()
	for try := 1; ; try++ {
		broker, epoch, err := p.c.cfg.Cluster.Leader(ctx, p.name)
		if err == nil {
			p.led(broker, epoch)
			err = f()
		}
		passes := rawkafka.Retriable(err) || rawkafka.Unknown(err) && time.Since(start) < unknownFor
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !passes || time.Since(start) > p.c.cfg.RetryFor:
			return err
		}
		p.c.cfg.OnRetry(op, at(p.name, p.Position(), op, err))
		p.c.cfg.Cluster.Forget(p.name)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(try)); err != nil {
			return err
		}
	}
}

// remembered asks the leader for our producer's generations. Leaders forget a producer whose last
// batch's timestamp is more than a day old, every ten minutes: where old data is copied, soon after
// it was written. A broker that doesn't know the question remembers nothing that counts.
func (p *Partition) remembered(ctx context.Context) (memory, error) {
	req := kmsg.NewPtrDescribeProducersRequest()
	rt := kmsg.NewDescribeProducersRequestTopic()
	rt.Topic, rt.Partitions = p.name.Topic, []int32{p.name.Partition}
	req.Topics = append(req.Topics, rt)
	resp, err := p.request(ctx, req)
	switch {
	case rawkafka.Unsupported(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	var m memory
	for _, t := range resp.(*kmsg.DescribeProducersResponse).Topics {
		for _, a := range t.Partitions {
			switch err := kerr.ErrorForCode(a.ErrorCode); {
			case rawkafka.Unsupported(err):
				return nil, nil
			case err != nil:
				return nil, err
			}
			for _, ap := range a.ActiveProducers {
				if gen, ok := p.prod.owns(ap.ProducerID); ok {
					m = append(m, known{true, gen, int16(ap.ProducerEpoch), ap.LastSequence})
				}
			}
		}
	}
	return m, nil
}

// led takes in who leads the partition. It says whether another did before, or the same in another
// epoch.
func (p *Partition) led(broker, epoch int32) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed = p.broker != broker || p.epoch != epoch
	p.broker, p.epoch = broker, epoch
	return changed
}

func (p *Partition) request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	p.mu.Lock()
	broker := p.broker
	p.mu.Unlock()
	return p.c.cfg.Cluster.Request(ctx, broker, req)
}

// tail reads our producer's state off the log's end. The further back, the fewer the cases: behind
// our last batch lie the weaker way's transactions, one control batch each. Data of others there
// says that the log isn't our copy's alone, and isn't searched for long.
func (p *Partition) tail(ctx context.Context, end int64) (known, error) {
	for _, back := range []int64{1, 100, 10_000, 1_000_000} {
		last, foreign, err := p.tailFrom(ctx, max(end-back, 0), end)
		if err != nil || last.found || back >= end || foreign && back >= 100 {
			return last, err
		}
	}
	return known{}, nil
}

const (
	tailBytes = 1 << 20
	tailReads = 128
	tailVoids = 4 // empty answers that are believed
)

// tailFrom reads from an offset up to the end, which is on all replicas. Nothing is found where our
// last batch isn't there, or was deleted.
func (p *Partition) tailFrom(ctx context.Context, from, end int64) (last known, foreign bool, err error) {
	void := 0
	for range tailReads {
		a, err := fetch(ctx, p.c.cfg.Cluster, p.name, from, tailBytes)
		switch {
		case errors.Is(err, kerr.OffsetOutOfRange): // deleted up to the end
			return last, foreign, nil
		case err != nil:
			return known{}, false, err
		}
		reached := from
		for b, err := range batch.All(a.RecordBatches) {
			if err != nil {
				break
			}
			reached = b.EndOffset()
			if k, ours := p.prod.shows(b); ours {
				last = k
			} else if !b.Control() {
				foreign = true
			}
		}
		switch {
		case reached > end:
			return known{}, false, errMoves
		case reached == end:
			return last, foreign, nil
		case reached > from:
			from = reached
			continue
		}
		// The cleaner has left nothing up to the end, or the leader doesn't tell yet.
		if void++; void == tailVoids {
			return known{}, foreign, nil
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(void)); err != nil {
			return known{}, false, err
		}
	}
	return known{}, foreign, nil
}
