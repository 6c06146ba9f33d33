package exactcopy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// Partition is an open target partition. One goroutine at a time. After an error only Close is
// left, and Position and Err.
type Partition struct {
	c    *Copier
	name rawkafka.Partition

	// The user's goroutine's alone.
	prod producer
	// doubt: markers of a process that died may be under way.
	doubt bool
	txn   *transactions // the weaker way, once it is used

	placed func(Placed) // of a job: positions are ordinals, and base offsets are taken as they come

	wake chan struct{} // holds a token when something changed

	mu       sync.Mutex
	broker   int32 // the leader, as far as known
	epoch    int32 // the leader's
	queue    []*item
	queued   int   // bytes, without what is in a request
	below    int   // nothing longer is joined, since the leader doesn't take it; 0: not known
	position int64 // the queue's end
	end      int64 // the log's, as far as answered
	durable  int64 // the high watermark is at least this; nothing is sent behind what isn't durable
	sending  bool  // someone is at work on queue[0]
	tries    int   // of queue[0]
	failing  time.Time
	rtt      time.Duration // of its broker
	closed   bool
	err      error
}

// item is a queued batch in the form it is sent.
type item struct {
	buf       []byte
	base, end int64

	owned  bool // buf was the caller's: it isn't kept for later
	joined bool // has been through the joiner: done
	made   bool // by the joiner, of several
	lost   bool // a request with it got no answer: kgo may still read buf
	unsure bool // some answer didn't say whether it was appended
}

// Position is the offset the next Append or Hole gets: the true end and what is queued.
func (p *Partition) Position() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.position
}

// Settled tells that no other process can have markers under way, since the caller has just created
// the topic: a first Hole needn't wait.
func (p *Partition) Settled() { p.doubt = false }

// Append queues a copy of a whole batch: its base offset must be Position, it must have no holes
// inside, no LogAppendTime, no control bit. It waits while the queue is full. Errors of earlier
// batches surface here or in Flush.
func (p *Partition) Append(ctx context.Context, b batch.Batch) error {
	position := p.Position()
	if err := sendable(b, position); err != nil {
		return at(p.name, position, "append", err)
	}
	return p.append(ctx, b, position)
}

// Give is Append without the copy: the bytes that the batch aliases are the Partition's from now
// on, and changed. Nothing may write them any more, nor use them again.
func (p *Partition) Give(ctx context.Context, b batch.Batch) error {
	position := p.Position()
	err := sendable(b, position)
	if err == nil {
		err = p.room(ctx, b.Len())
	}
	if err != nil {
		return at(p.name, position, "append", err)
	}
	end := b.EndOffset()
	p.push(&item{buf: b.Readdress(p.prod.pid(), p.prod.epoch, p.prod.sequence), base: position, end: end, owned: true})
	return nil
}

// append queues a batch that is sendable.
func (p *Partition) append(ctx context.Context, b batch.Batch, position int64) error {
	if err := p.room(ctx, b.Len()); err != nil {
		return at(p.name, position, "append", err)
	}
	buf := b.ForProduce(p.c.bufs.get(b.Len()), p.prod.pid(), p.prod.epoch, p.prod.sequence)
	p.push(&item{buf: buf, base: position, end: position + int64(b.Records())})
	return nil
}

func sendable(b batch.Batch, position int64) error {
	switch {
	case b.BaseOffset() != position:
		return fmt.Errorf("the batch's base offset is %d", b.BaseOffset())
	case b.EndOffset()-b.BaseOffset() != int64(b.Records()):
		return fmt.Errorf("the batch has %d records for %d offsets", b.Records(), b.EndOffset()-b.BaseOffset())
	case b.Control():
		return fmt.Errorf("a control batch can't be produced")
	case b.LogAppendTime():
		return fmt.Errorf("a batch with LogAppendTime can't be produced")
	}
	return nil
}

// room waits until the queue has room for n bytes and the limiter agrees.
func (p *Partition) room(ctx context.Context, n int) error {
	if err := p.c.limit(ctx, n); err != nil {
		return err
	}
	return p.wait(ctx, func() bool { return p.queued == 0 || p.queued+n <= p.c.cfg.QueueBytes })
}

// wait waits for a condition of the locked state, or an error.
func (p *Partition) wait(ctx context.Context, done func() bool) error {
	for {
		p.mu.Lock()
		err, ok := p.err, done()
		p.mu.Unlock()
		switch {
		case err != nil:
			return err
		case ok:
			return nil
		}
		select {
		case <-p.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *Partition) notify() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// push queues an item and sees to it that somebody sends it.
func (p *Partition) push(it *item) {
	p.prod.advance(it.end - it.base)
	p.doubt = false // the sequence refuses what a marker of others has overtaken
	p.mu.Lock()
	p.queue = append(p.queue, it)
	p.queued += len(it.buf)
	p.position = it.end
	start := !p.sending && p.err == nil && !p.closed
	p.sending = p.sending || start
	p.mu.Unlock()
	if start {
		p.lineUp()
	}
}

// Flush waits until all that was queued is appended; with durable, until the high watermark has
// reached it. What isn't flushed may never arrive.
func (p *Partition) Flush(ctx context.Context, durable bool) error {
	position := p.Position()
	if err := p.wait(ctx, func() bool { return len(p.queue) == 0 }); err != nil {
		return at(p.name, position, "flush", err)
	}
	if !durable {
		return nil
	}
	if err := p.awaitDurable(ctx, position); err != nil {
		err = at(p.name, position, "flush", err)
		if errors.Is(err, ErrUndecided) {
			p.fail(err)
		}
		return err
	}
	return nil
}

// awaitDurable waits for the high watermark, where the answers don't imply it. A log that has lost
// what was appended, as a leader that was cut off does, is ErrUndecided.
func (p *Partition) awaitDurable(ctx context.Context, position int64) error {
	for try := 1; ; try++ {
		p.mu.Lock()
		done := p.durable >= position
		p.mu.Unlock()
		if done {
			return nil
		}
		watermark, err := p.list(ctx, rawkafka.Consumer)
		if err != nil {
			return undecided(err)
		}
		if watermark >= position {
			p.mu.Lock()
			p.durable = watermark
			p.mu.Unlock()
			return nil
		}
		end, _, err := p.ends(ctx)
		switch {
		case errors.Is(err, rawkafka.ErrTwoLeaders): // ask again
		case err != nil:
			return undecided(err)
		case end < position:
			return undecided(fmt.Errorf("the log went back from %d to %d", position, end))
		}
		p.c.cfg.OnRetry("flush", at(p.name, position, "flush", errNotDurable))
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(try)); err != nil {
			return err
		}
	}
}

var errNotDurable = errors.New("the high watermark lags behind: a follower is missing")

// ends are the true end and the high watermark, of one leader in one epoch.
func (p *Partition) ends(ctx context.Context) (end, watermark int64, err error) {
	got, err := p.c.cfg.Cluster.Ends(ctx, []rawkafka.Partition{p.name})
	if err != nil {
		return 0, 0, err
	}
	e := got[p.name]
	return e.End, e.Watermark, e.Err
}

// list asks the leader for the true end (rawkafka.Debug) or the high watermark (rawkafka.Consumer)
// alone.
func (p *Partition) list(ctx context.Context, replica int32) (int64, error) {
	got, err := p.c.cfg.Cluster.ListOffsets(ctx, []rawkafka.Partition{p.name}, rawkafka.Latest, rawkafka.ReadUncommitted, replica)
	if err != nil {
		return 0, err
	}
	return got[p.name].Offset, got[p.name].Err
}

// fail ends the partition. The first error stays.
func (p *Partition) fail(err error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = err
	}
	p.mu.Unlock()
	p.notify()
}

// Err is the error that ended the partition, if one has.
func (p *Partition) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Close drops what is queued and not sent, and waits for what is.
func (p *Partition) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.fail(ErrClosed)
	for idle := false; !idle; {
		p.mu.Lock()
		idle = !p.sending
		p.mu.Unlock()
		if idle {
			break
		}
		select {
		case <-p.wake:
		case <-p.c.ended:
			idle = true
		}
	}
	p.c.forget(p)
}
