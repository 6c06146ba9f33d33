package exactcopy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// Open reads last sequence, then true end, once nothing of ours is under way there: a Partition of the same name that is still open is closed first.
// Moved leaders and lost connections are followed for RetryFor.
func (c *Copier) Open(ctx context.Context, name rawkafka.Partition) (*Partition, error) {
	p := &Partition{c: c, name: name, prod: newProducer(c.cfg.TransactionalID, name), wake: make(chan struct{}, 1)}
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
		before, err := p.lastKnown(ctx)
		if err != nil {
			return err
		}
		end, watermark, err := p.ends(ctx)
		if err != nil {
			return err
		}
		// A leader that was replaced while it stood still may tell an end that is cut away, and the next one take what comes behind it: what begins an
		// epoch or an id has no predecessor that a leader would ask for, nor has any batch where the leader has forgotten. Only what all replicas have counts;
		// nothing else can be read, either.
		if watermark < end {
			return errNotReplicated
		}
		now := before
		if before.found {
			now, err = p.lastKnown(ctx)
		} else if end > 0 {
			now, err = p.tail(ctx, end)
		}
		switch {
		case err != nil:
			return err
		case before.found && now != before:
			return errMoves
		case now.found:
			p.prod.resume(now.gen, now.epoch, now.sequence)
		default:
			p.prod.start(end)
		}
		p.end, p.position, p.durable = end, end, end
		p.doubt = true
		return nil
	})
}

var errNotReplicated = fmt.Errorf("the log's end isn't on all replicas yet: %w", kerr.UnknownServerError)

var errMoves = fmt.Errorf("the log grows while it is read: %w", kerr.UnknownServerError)

// retry tries until it works, with the partition's leader at hand, or the error isn't one that passes, or RetryFor is over.
func (p *Partition) retry(ctx context.Context, op string, f func() error) error {
	start := time.Now()
	for try := 1; ; try++ {
		broker, _, err := p.c.cfg.Cluster.Leader(ctx, p.name)
		if err == nil {
			p.mu.Lock()
			p.broker = broker
			p.mu.Unlock()
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

// known is what a log says about our producer.
type known struct {
	found    bool
	gen      uint16
	epoch    int16
	sequence int32 // the last one, or -1 behind a marker
}

// lastKnown asks the leader for our producer's newest generation. Leaders forget a producer whose last batch's timestamp is more than a day old, every ten
// minutes: where old data is copied, soon after it was written.
func (p *Partition) lastKnown(ctx context.Context) (known, error) {
	req := kmsg.NewPtrDescribeProducersRequest()
	rt := kmsg.NewDescribeProducersRequestTopic()
	rt.Topic, rt.Partitions = p.name.Topic, []int32{p.name.Partition}
	req.Topics = append(req.Topics, rt)
	resp, err := p.request(ctx, req)
	if err != nil {
		return known{}, err
	}
	var last known
	for _, t := range resp.(*kmsg.DescribeProducersResponse).Topics {
		for _, a := range t.Partitions {
			if err := kerr.ErrorForCode(a.ErrorCode); err != nil {
				return known{}, err
			}
			for _, ap := range a.ActiveProducers {
				if gen, ok := p.prod.owns(ap.ProducerID); ok && (!last.found || gen > last.gen) {
					last = known{true, gen, int16(ap.ProducerEpoch), ap.LastSequence}
				}
			}
		}
	}
	return last, nil
}

func (p *Partition) request(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	p.mu.Lock()
	broker := p.broker
	p.mu.Unlock()
	return p.c.cfg.Cluster.Request(ctx, broker, req)
}

// tail reads our producer's state off the log's end, for leaders that have forgotten it or don't tell. Nothing is found where our last batch
// is too far back (the weaker way's transactions lie behind it), or above the high watermark.
func (p *Partition) tail(ctx context.Context, end int64) (last known, err error) {
	for _, back := range []int64{1, 100, 10_000} {
		last, err = p.tailFrom(ctx, max(end-back, 0), end)
		if err != nil || last.found || back >= end {
			break
		}
	}
	return last, err
}

func (p *Partition) tailFrom(ctx context.Context, from, end int64) (known, error) {
	a, err := fetch(ctx, p.c.cfg.Cluster, p.name, from, 1<<20)
	switch {
	case errors.Is(err, kerr.OffsetOutOfRange): // deleted up to the end
		return known{}, nil
	case err != nil:
		return known{}, err
	}
	return p.lastIn(a.RecordBatches, end), nil
}

func (p *Partition) lastIn(raw []byte, end int64) known {
	var last known
	var reached int64
	for b, err := range segment.Batches(raw) {
		if err != nil {
			break
		}
		gen, ours := p.prod.owns(b.ProducerID())
		reached = b.EndOffset()
		if !ours {
			continue
		}
		last = known{true, gen, b.ProducerEpoch(), -1}
		if !b.Control() {
			last.sequence = after(b.BaseSequence(), int64(b.Records())-1)
		}
	}
	if reached != end {
		return known{}
	}
	return last
}
