package exactcopy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// lineUp hands the partition, which is at nobody's, to its leader's senders. What was appended must be on all replicas first: a leader that hasn't got it
// and has forgotten the producer would take what follows in its place.
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

// landed says whether a batch whose answer doesn't tell is in the log. A leader that knows the producer needn't be asked: sent again, it is a
// duplicate there. One that has forgotten would take it a second time.
func (p *Partition) landed(ctx context.Context, it *item) (bool, error) {
	k, err := p.lastKnown(ctx)
	if err != nil || k.found {
		return false, err
	}
	end, watermark, err := p.ends(ctx)
	switch {
	case err != nil:
		return false, err
	case end == it.base:
		return false, nil
	case end != it.end:
		return false, undecided(fmt.Errorf("the log ends at %d, not at %d or %d", end, it.base, it.end))
	case watermark < end:
		return false, errNotReplicated
	}
	if k, err = p.tailFrom(ctx, end-1, end); err != nil {
		return false, err
	}
	pid, epoch, sequence := identity(it.buf)
	if !k.found || p.prod.id|int64(k.gen) != pid || k.epoch != epoch || k.sequence != after(sequence, it.end-it.base-1) {
		return false, undecided(fmt.Errorf("other records end at %d", end))
	}
	return true, nil
}
