package exactcopy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// produceTimeout is how long the leader waits for its followers before it answers
// REQUEST_TIMED_OUT.
const produceTimeout = 10 * time.Second

// broker sends to one broker: partitions that have something to send line up, and as many workers
// as requests may be in flight each take what stands in the line, one batch per partition. A
// partition is in at most one place: the line, a worker, or waiting to try again.
type broker struct {
	c  *Copier
	id int32

	mu      sync.Mutex
	line    []*Partition
	workers int

	markers markerLine
	rtt     atomic.Int64 // the shortest lately: how long a request takes that doesn't wait
}

// roundTrip takes a request's time in.
func (b *broker) roundTrip(took time.Duration) time.Duration {
	shortest := b.rtt.Load()
	shortest += max(shortest/256, 1) // forgets
	if shortest == 1 || int64(took) < shortest {
		shortest = int64(took)
	}
	b.rtt.Store(shortest)
	return time.Duration(shortest)
}

// send puts a partition in the line.
func (b *broker) send(p *Partition) {
	b.mu.Lock()
	b.line = append(b.line, p)
	start := b.workers < b.c.cfg.InFlight
	if start {
		b.workers++
	}
	b.mu.Unlock()
	if start {
		b.c.run(b.work)
	}
}

// work sends until the line is empty.
func (b *broker) work(ctx context.Context) {
	for {
		ps := b.take()
		if len(ps) == 0 {
			return
		}
		b.produce(ctx, ps)
	}
}

// take takes from the line what fits a request, at least one. The worker that gets nothing ends.
func (b *broker) take() []*Partition {
	b.mu.Lock()
	defer b.mu.Unlock()
	size, n := 0, 0
	for _, p := range b.line {
		size += p.nextBytes()
		if n > 0 && size > b.c.cfg.RequestBytes {
			break
		}
		n++
	}
	ps := append([]*Partition(nil), b.line[:n]...)
	b.line = append(b.line[:0], b.line[n:]...)
	clear(b.line[len(b.line) : len(b.line)+n])
	if n == 0 {
		b.workers--
	}
	return ps
}

// produce sends one request and hands the answers out.
func (b *broker) produce(ctx context.Context, ps []*Partition) {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, int32(produceTimeout.Milliseconds())
	sent := make(map[place]sending, len(ps))
	topics := make(map[string]int, len(ps))
	for _, p := range ps {
		it := p.next()
		if it == nil {
			continue
		}
		i, ok := topics[p.name.Topic]
		if !ok {
			i = len(req.Topics)
			topics[p.name.Topic] = i
			rt := kmsg.NewProduceRequestTopic()
			rt.Topic, rt.TopicID = p.name.Topic, p.name.TopicID
			req.Topics = append(req.Topics, rt)
		}
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = p.name.Partition, it.buf
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
		sent[place{p.name.Topic, p.name.Partition}] = sending{p, it}
	}
	if len(sent) == 0 {
		return
	}
	start := time.Now()
	resp, err := b.c.cfg.Cluster.Request(ctx, b.id, req)
	took := time.Since(start)
	if err != nil {
		for _, s := range sent {
			s.it.lost = true
			s.p.failed(ctx, s.it, err)
		}
		return
	}
	b.answers(ctx, sent, resp.(*kmsg.ProduceResponse), took)
}

// place is a partition as requests name it.
type place struct {
	topic     string
	partition int32
}

type sending struct {
	p  *Partition
	it *item
}

func (b *broker) answers(ctx context.Context, sent map[place]sending, resp *kmsg.ProduceResponse, took time.Duration) {
	rtt := b.roundTrip(took)
	names := make(map[[16]byte]string, 1)
	for _, s := range sent {
		names[s.p.name.TopicID] = s.p.name.Topic
	}
	for _, t := range resp.Topics {
		topic := t.Topic
		if topic == "" {
			topic = names[t.TopicID]
		}
		for _, a := range t.Partitions {
			at := place{topic, a.Partition}
			s, ok := sent[at]
			if !ok {
				continue
			}
			delete(sent, at)
			s.p.setRTT(rtt)
			if s.p.answered(ctx, s.it, answer{kerr.ErrorForCode(a.ErrorCode), a.BaseOffset, a.LogAppendTime}) {
				s.p.lineUp()
			}
		}
	}
	for _, s := range sent {
		s.p.failed(ctx, s.it, errOmitted)
	}
}

var errOmitted = errors.New("the broker's answer omits the partition")

// nextBytes is about how long the next batch to send is.
func (p *Partition) nextBytes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return 0
	}
	_, size := p.run()
	return size
}

// run is how many batches at the queue's front become one, and their length. The caller holds the
// lock.
func (p *Partition) run() (n, size int) {
	head := p.queue[0]
	below := p.c.cfg.JoinBelow
	if p.below > 0 {
		below = min(below, p.below)
	}
	n, size = p.c.joiner.run(p.queue, below)
	if n > 1 && !p.c.joiner.pays(n, size, codec(head.buf), p.rtt) {
		return 1, len(head.buf)
	}
	return n, size
}

// next returns the batch to send now, or nil: then nobody is at work on the partition any more.
func (p *Partition) next() *item {
	p.mu.Lock()
	if p.closed || p.err != nil || len(p.queue) == 0 {
		p.sending = false
		p.mu.Unlock()
		p.notify()
		return nil
	}
	it := p.queue[0]
	n, _ := p.run()
	if n < 2 {
		p.takeOff(it)
		p.mu.Unlock()
		p.notify()
		return it
	}
	run := p.queue[:n:n]
	p.mu.Unlock()
	return p.join(run)
}

// join makes one item of a run at the queue's front. Only one worker is here, and the user only
// appends.
func (p *Partition) join(run []*item) *item {
	defer p.notify()
	joined := p.c.joiner.join(run, &p.c.bufs)
	p.mu.Lock()
	defer p.mu.Unlock()
	if joined == nil { // can't be: as they are, then
		p.takeOff(run[0])
		return run[0]
	}
	for _, it := range run {
		p.takeOff(it)
		p.recycle(it)
	}
	p.queue = append([]*item{joined}, p.queue[len(run):]...)
	return joined
}

// takeOff notes that an item goes into a request: from now on it stays as it is, and makes room for
// others. The caller holds the lock.
func (p *Partition) takeOff(it *item) {
	if !it.joined {
		it.joined = true
		p.queued -= len(it.buf)
	}
}

// answer is a partition's in a produce answer.
type answer struct {
	err      error
	base     int64
	appended int64 // LogAppendTimeMillis, or -1
}

// stamped says whether the topic gave the records another time than theirs. The answer to a
// duplicate has the batch's greatest timestamp there, whatever the topic's type.
func (a answer) stamped(it *item) bool {
	return appended(a.err) && a.appended >= 0 && a.appended != maxTimestamp(it.buf)
}

// answered takes a decisive answer in. It says whether there is more to send.
func (p *Partition) answered(ctx context.Context, it *item, a answer) bool {
	err, base := a.err, a.base
	if tooLarge(err) && p.cut(it) {
		return true
	}
	it.unsure = it.unsure || err != nil && base >= 0 // a leader that was replaced before its followers had it
	if p.placed != nil {
		return p.answeredPlaced(ctx, it, err, base)
	}
	switch {
	case a.stamped(it):
		p.stop(at(p.name, it.base, "produce", ErrStamped))
	case appended(err) && (base == it.base || err != nil && base < 0):
		return p.done(it, err == nil)
	case appended(err):
		p.stop(shifted(p.name, it.base, base))
	case elsewhere(err):
		p.stop(at(p.name, it.base, "produce", undecided(err)))
	case rawkafka.Retriable(err), rawkafka.Unknown(err):
		p.failed(ctx, it, err)
	default:
		p.stop(at(p.name, it.base, "produce", err))
	}
	return false
}

// tooLarge: the topic's max.message.bytes or segment.bytes. Nothing was appended.
func tooLarge(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge)
}

// cut puts two halves in the place of a joined batch that the leader doesn't take for its length.
// It says whether it did.
func (p *Partition) cut(it *item) bool {
	two := halves(it, &p.c.bufs)
	if two == nil {
		return false
	}
	p.mu.Lock()
	p.below = max(len(it.buf)/2, 1)
	p.queue = append(two, p.queue[1:]...)
	p.tries = 0
	p.mu.Unlock()
	p.recycle(it)
	return true
}

func (p *Partition) setRTT(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rtt = d
}

// done takes the head off the queue.
func (p *Partition) done(it *item, durable bool) (more bool) {
	p.mu.Lock()
	p.queue[0] = nil
	if p.queue = p.queue[1:]; len(p.queue) == 0 {
		p.queue = nil // an idle partition costs little
	}
	p.end = it.end
	if durable {
		p.durable = it.end
	}
	p.tries = 0
	more = len(p.queue) > 0 && p.err == nil && !p.closed
	p.sending = more
	p.mu.Unlock()
	p.recycle(it)
	p.notify()
	return more
}

// stop ends the partition with an error; nobody is at work on it any more.
func (p *Partition) stop(err error) {
	p.mu.Lock()
	p.sending = false
	p.mu.Unlock()
	p.fail(err)
}

func (p *Partition) recycle(it *item) {
	if !it.lost && !it.owned {
		p.c.bufs.put(it.buf)
	}
}

// failed tries the same bytes again, after a while, where the leader is then. Unless the last
// answer says that they weren't appended, and the leader and its epoch are still the same, they are
// looked up in the log before.
func (p *Partition) failed(ctx context.Context, it *item, err error) {
	if ctx.Err() != nil {
		p.stop(context.Cause(ctx))
		return
	}
	p.mu.Lock()
	if p.tries == 0 {
		p.failing = time.Now()
	}
	p.tries++
	it.unsure = it.unsure || !notAppended(err)
	try, since := p.tries, time.Since(p.failing)
	p.mu.Unlock()
	switch {
	case p.placed != nil && it.unsure:
		p.stop(at(p.name, it.base, "produce", undecided(err)))
	case rawkafka.Unknown(err) && since > min(unknownFor, p.c.cfg.RetryFor):
		p.stop(at(p.name, it.base, "produce", err))
	case since > p.c.cfg.RetryFor:
		p.stop(at(p.name, it.base, "produce", undecided(err)))
	default:
		p.c.cfg.OnRetry("produce", at(p.name, it.base, "produce", err))
		p.c.run(func(ctx context.Context) { p.again(ctx, try) })
	}
}

// unknownFor is how long a topic may be unknown to a broker before it is gone.
const unknownFor = 15 * time.Second

// again waits, looks, and lines the partition up where its leader is.
func (p *Partition) again(ctx context.Context, try int) {
	p.c.cfg.Cluster.Forget(p.name)
	if err := p.pause(ctx, rawkafka.Backoff(try)); err != nil {
		p.stop(err)
		return
	}
	if err := p.Err(); err != nil { // closed meanwhile: nobody wants to know
		p.stop(err)
		return
	}
	id, epoch, err := p.c.cfg.Cluster.Leader(ctx, p.name)
	moved := err == nil && p.led(id, epoch)
	p.mu.Lock()
	it := p.queue[0]
	it.unsure = it.unsure || moved // whatever the last one has answered
	p.mu.Unlock()
	landed := false
	switch {
	case moved && p.placed != nil:
		err = undecided(errMoved) // OpenTranslated looks it up
	case err == nil && it.unsure:
		landed, err = p.landed(ctx, it)
	}
	switch {
	case errors.Is(err, ErrUndecided):
		p.stop(at(p.name, it.base, "produce", err))
	case err != nil:
		p.failed(ctx, it, err)
	case !landed || p.done(it, false):
		p.lineUp()
	}
}

var errMoved = errors.New("the leader, or its epoch, has changed")

// pause waits, less long for a partition that is closed meanwhile.
func (p *Partition) pause(ctx context.Context, d time.Duration) error {
	if p.Err() != nil {
		return nil
	}
	return rawkafka.Sleep(ctx, d)
}
