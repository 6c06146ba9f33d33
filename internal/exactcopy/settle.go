package exactcopy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// lineUp hands the partition, which is at nobody's, to its leader's senders. What was appended must
// be on all replicas first: a leader that hasn't got it and has forgotten the producer would take
// what follows in its place.
func (p *Partition) lineUp() {
	p.mu.Lock()
	settled, broker := p.durable >= p.end, p.broker
	p.mu.Unlock()
	if settled {
		p.c.broker(broker).send(p)
		return
	}
	p.c.run(p.settle)
}

// settle waits for the high watermark and lines the partition up.
func (p *Partition) settle(ctx context.Context) {
	p.mu.Lock()
	end := p.end
	p.mu.Unlock()
	start := time.Now()
	for try := 1; ; try++ {
		err := p.look(ctx, end)
		switch {
		case p.Err() != nil:
			p.stop(p.Err())
			return
		case err == nil:
			p.lineUp()
			return
		case errors.Is(err, ErrUndecided), time.Since(start) > p.c.cfg.RetryFor && !errors.Is(err, errNotDurable):
			p.stop(at(p.name, end, "produce", undecided(err)))
			return
		}
		p.c.cfg.OnRetry("produce", at(p.name, end, "produce", err))
		if err := p.pause(ctx, rawkafka.Backoff(try)); err != nil {
			p.stop(err)
			return
		}
	}
}

// look says whether all up to end is on all replicas, in the leader's log as it is now.
func (p *Partition) look(ctx context.Context, end int64) error {
	now, watermark, err := p.ends(ctx)
	switch {
	case err != nil:
		return err
	case watermark >= end:
		p.mu.Lock()
		p.durable = max(p.durable, watermark)
		p.mu.Unlock()
		return nil
	case now < end:
		return undecided(fmt.Errorf("the log went back from %d to %d", end, now))
	}
	return errNotDurable
}

// landed says whether a batch whose answer doesn't tell is in the log.
func (p *Partition) landed(ctx context.Context, it *item) (bool, error) {
	var f facts
	var err error
	if f.end, f.watermark, err = p.ends(ctx); err != nil {
		return false, err
	}
	if f.end == it.end && f.watermark == f.end {
		if f.tail, _, err = p.tailFrom(ctx, f.end-1, f.end); err != nil {
			return false, err
		}
	}
	if f.after, err = p.remembered(ctx); err != nil {
		return false, err
	}
	pid, epoch, sequence := identity(it.buf)
	gen, _ := p.prod.owns(pid)
	return f.landed(it, known{true, gen, epoch, after(sequence, it.end-it.base-1)})
}
