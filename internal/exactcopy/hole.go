package exactcopy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Hole makes n invisible offsets: a barrier, done when it returns. A marker is a control record,
// which no consumer sees.
func (p *Partition) Hole(ctx context.Context, n int64) error {
	if err := p.Flush(ctx, false); err != nil || n <= 0 {
		return err
	}
	position := p.Position()
	if err := p.hole(ctx, position, n); err != nil {
		if errors.Is(err, ErrShifted) { // maybe the doing of who has the right now
			err = cmpErr(p.c.cfg.MayHole(ctx, p.name), err)
		}
		err = at(p.name, position, "hole", err)
		p.fail(err)
		return err
	}
	return nil
}

// hole begins and ends with what is on all replicas: a marker, and the first data of an epoch,
// would be taken by a new leader that hasn't got what is before them.
func (p *Partition) hole(ctx context.Context, position, n int64) error {
	if err := p.awaitDurable(ctx, position); err != nil {
		return err
	}
	m, err := p.c.Method(ctx)
	if err == nil {
		err = p.c.cfg.MayHole(ctx, p.name)
	}
	if err != nil {
		return err
	}
	if m == Transactions {
		err = p.endTransactions(ctx, n)
	} else {
		err = p.markTo(ctx, position+n)
	}
	if err != nil {
		return err
	}
	return p.awaitDurable(ctx, position+n)
}

// markTo brings the true end to target. Each marker has an epoch of its own, one above the last,
// and the data behind them goes on in the next: once that has arrived, whatever is late of all this
// is refused.
func (p *Partition) markTo(ctx context.Context, target int64) error {
	if p.doubt {
		if err := p.quiet(ctx, p.c.cfg.Quiet/6, target); err != nil {
			return err
		}
	}
	var since time.Time
	ignored := 0 // in a row: answered with success, and nothing written
	for try := 0; p.end < target; {
		start := p.end
		why, err := p.markOnce(ctx, target)
		if err != nil {
			return err
		}
		if p.end > start {
			try = 0
			continue
		}
		if try++; try == 1 {
			since = time.Now()
			ignored = 0
		}
		if !errors.Is(why, errShort) {
			ignored = 0
		} else if ignored++; ignored == ignoredTries {
			return ErrMarkersIgnored
		}
		if time.Since(since) > p.c.cfg.RetryFor {
			return undecided(why)
		}
		p.c.cfg.OnRetry("hole", at(p.name, start, "hole", why))
		p.c.cfg.Cluster.Forget(p.name)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(try)); err != nil {
			return err
		}
	}
	p.prod.nextEpoch()
	return nil
}

// markOnce sends one request and takes in what came of it. The error is final; why is the reason
// that the end is where it is.
func (p *Partition) markOnce(ctx context.Context, target int64) (why, err error) {
	broker, epoch, err := p.c.cfg.Cluster.Leader(ctx, p.name)
	if err != nil {
		return err, passing(err)
	}
	p.led(broker, epoch)
	if err := p.c.cfg.MayHole(ctx, p.name); err != nil {
		return nil, err
	}
	start := p.end
	j := &markerJob{name: p.name, start: start, done: make(chan marked, 1)}
	j.pid, j.first, j.n = p.prod.markers(min(target-start, maxMarkers))
	m, err := p.c.broker(broker).mark(ctx, j)
	switch {
	case err != nil:
		return nil, undecided(err)
	case errors.Is(m.refused, errMayWait):
		return m.refused, nil
	case m.refused != nil:
		return nil, m.refused
	case m.request != nil: // they may come late
		return m.request, p.quiet(ctx, p.c.cfg.Quiet, target)
	case m.endErr == nil && m.end == start+int64(j.n): // whatever the answer was
		return nil, p.moved(m.end, target, m.err == nil && j.n == 1) // of several, any one's answer
	case errors.Is(m.err, kerr.InvalidProducerEpoch):
		return nil, undecided(m.err)
	case rawkafka.Denies(m.err), m.err != nil && !rawkafka.Retriable(m.err) && !rawkafka.Unknown(m.err):
		return nil, m.err
	}
	why = cmpErr(m.err, m.endErr, errShort)
	return why, p.quiet(ctx, 0, target)
}

// ignoredTries is how often, in some 7 s, markers may be answered with success while the log's end
// stays.
const ignoredTries = 8

var errShort = errors.New("fewer markers than were asked for")

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// passing keeps an error only where it won't pass.
func passing(err error) error {
	if rawkafka.Retriable(err) || rawkafka.Unknown(err) {
		return nil
	}
	return err
}

// moved takes in a new true end, that may not be beyond target.
func (p *Partition) moved(end, target int64, durable bool) error {
	if end > target {
		return shifted(p.name, target, end)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if end < p.end {
		return undecided(fmt.Errorf("the log went back from %d to %d", p.end, end))
	}
	p.end, p.position = end, end
	if durable {
		p.durable = end
	}
	return nil
}

// endUpTo is the true end. One beyond target counts once it is on all replicas: a leader that is
// about to be replaced may show what will be cut away.
func (p *Partition) endUpTo(ctx context.Context, target int64) (int64, error) {
	end, watermark, err := p.ends(ctx)
	if err == nil && end > target && watermark < end {
		return 0, errNotReplicated
	}
	return end, err
}

// quiet waits until the true end has stood still for d, and takes it in.
func (p *Partition) quiet(ctx context.Context, d time.Duration, target int64) error {
	var end int64
	var since time.Time
	for {
		asked := time.Now()
		var now int64
		err := p.retry(ctx, "hole", func() (err error) {
			now, err = p.list(ctx, rawkafka.Debug)
			return err
		})
		if err != nil {
			return undecided(err)
		}
		// An answer that was long in coming is one of a broker that stood still itself: it proves
		// nothing.
		if since.IsZero() || now != end || time.Since(asked) > max(d/4, time.Second) {
			end, since = now, time.Now()
		}
		if left := d - time.Since(since); left <= 0 {
			break
		} else if err := rawkafka.Sleep(ctx, min(left, max(d/10, 10*time.Millisecond))); err != nil {
			return err
		}
	}
	p.doubt = false
	if start := p.end; d > 0 && end != start {
		return p.catchUp(ctx, target)
	}
	if end > target {
		err := p.retry(ctx, "hole", func() (err error) {
			end, err = p.endUpTo(ctx, target)
			return err
		})
		if err != nil {
			return undecided(err)
		}
	}
	return p.moved(end, target, false)
}

// catchUp takes in the end, and the producer of the markers that came in late: those of a process
// that died may be of a later epoch or generation, in which this one's markers and data would be
// refused, and behind which they must not go on in an earlier one.
func (p *Partition) catchUp(ctx context.Context, target int64) error {
	var f facts
	var now known
	err := p.retry(ctx, "hole", func() (err error) {
		if f, err = p.facts(ctx); err == nil {
			now, err = f.standing()
		}
		return err
	})
	if err != nil {
		return undecided(err)
	}
	if now.found && (later(now.gen, p.prod.gen) || now.gen == p.prod.gen && now.epoch > p.prod.epoch) {
		p.prod.gen, p.prod.epoch, p.prod.sequence = now.gen, now.epoch, 0
	}
	return p.moved(f.end, target, false)
}
