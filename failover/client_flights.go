package failover

import (
	"context"
	"math"
	"math/bits"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// flightSize is how many records a flight has at most.
const flightSize = 8

// passed is how many flights are passed over, at most, where one begins.
const passed = 4

// flight is records that kgo has, and nothing is known of but that, in the order in which it was given them. There are many, and caches are small: so there is as little of each as may be,
// and nothing is made anew for them. What is answered other than by an ack becomes an [entry], as if it had been one from the start; records that more has to be known of are entries from the start.
type flight struct {
	// What acks look at is together, and apart from the rest.
	client  *Client
	session *session
	// answered has a bit for each record whose promise was called, or that has become an entry. The flight is over when all have it: nobody looks at it any more.
	answered atomic.Uint32
	recs     [flightSize]*kgo.Record
	promises [flightSize]func(*kgo.Record, error)
	sizes    [flightSize]int32 // as they were taken: kgo's hooks may add headers

	n      int                      // records; the client's lock guards it
	number uint64                   // of the first, see outbox
	done   func(*kgo.Record, error) // takes kgo's answer to any of them
	next   *flight
	ctx    context.Context   // that they were given with, or one that ends with theirs
	ends   <-chan struct{}   // when it does
	given  [flightSize]int32 // the partitions that the caller wrote
}

// flights is a queue of those that aren't over, or weren't when they were looked at. The oldest comes first, but for those that were passed over.
type flights struct {
	head, tail *flight
	open       *flight // that more records fit into; nil: none
	spare      []*flight
	unused     int // how few spare ones there have been lately
}

// light says that no more need be known of a record than a flight has; c.mu is held.
func (c *Client) light(ctx context.Context, r *kgo.Record, size int64) bool {
	if size > math.MaxInt32 || c.cfg.Replay != nil || c.txn != nil || c.cur.limits.timeout > 0 {
		return false
	}
	return r.Context == nil || r.Context.Done() == nil || r.Context.Done() == ctx.Done() // it ends with the other, if at all
}

// fly gives a record to kgo, noted in a flight; c.mu is held.
func (c *Client) fly(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error), size int64) {
	s := c.cur
	f := c.board(ctx, s, r, promise, size)
	mark(r, r.Partition, -1)
	r.Partition = -1 // until kgo has chosen
	s.cl.Produce(ctx, r, f.done)
}

// board notes a record in a flight; c.mu is held.
func (c *Client) board(ctx context.Context, s *session, r *kgo.Record, promise func(*kgo.Record, error), size int64) *flight {
	f := c.box.flights.open
	if f == nil || f.n == flightSize || f.session != s || f.ends != ctx.Done() {
		f = c.box.depart(ctx, c, s)
	}
	f.recs[f.n], f.promises[f.n], f.given[f.n], f.sizes[f.n] = r, promise, r.Partition, int32(size) //nolint:gosec // see light
	f.n++
	c.box.count(1, size)
	s.sent++
	s.flush = true
	s.given += weight(size)
	c.aim(s)
	return f
}

// depart begins a flight. One that is over is used again: mostly that is the first. Those before it, of a partition that gets no answers, are passed over, a few at a time: trim finds what is behind
// many, and leaves as much as is needed until the next time.
func (b *outbox) depart(ctx context.Context, c *Client, s *session) *flight {
	l := &b.flights
	for n := 0; n < passed && !l.look(); n++ {
	}
	var f *flight
	if n := len(l.spare) - 1; n >= 0 {
		f, l.spare = l.spare[n], l.spare[:n]
		l.unused = min(l.unused, n)
		f.answered.Store(0)
		f.n = 0
	} else {
		f = &flight{client: c}
		f.done = f.answer
	}
	f.session, f.number, f.ctx, f.ends = s, b.number, ctx, ctx.Done()
	b.number += flightSize
	l.push(f)
	l.open = f
	return f
}

func (l *flights) push(f *flight) {
	if f.next = nil; l.tail != nil {
		l.tail.next = f
	} else {
		l.head = f
	}
	l.tail = f
}

// look takes the first flight: it is spare where it is over, else the last. It says whether one is spare.
func (l *flights) look() bool {
	f := l.head
	if f == nil {
		return false
	}
	if l.head = f.next; l.head == nil {
		l.tail = nil
	}
	if !f.over() {
		l.push(f)
		return false
	}
	l.spare = append(l.spare, f)
	if l.open == f {
		l.open = nil
	}
	return true
}

// over says that all its records were answered; one that is open is over as well then.
func (f *flight) over() bool { return bits.OnesCount32(f.answered.Load()) == f.n }

// trim lets go of what is over, of those that weren't needed since the last time, and of what they refer to.
func (l *flights) trim() {
	for f, last := l.head, l.tail; f != nil; {
		next := f.next
		l.look()
		if f == last {
			break
		}
		f = next
	}
	keep := len(l.spare) - l.unused
	clear(l.spare[keep:])
	l.spare = l.spare[:keep]
	for _, f := range l.spare {
		f.session, f.next, f.ctx, f.ends = nil, nil, nil, nil
		clear(f.recs[:])
		clear(f.promises[:])
	}
	l.unused = keep
}

// pending calls f for the contexts of records that kgo has.
func (l *flights) pending(f func(ctx context.Context)) {
	for fl := l.head; fl != nil; fl = fl.next {
		if !fl.over() {
			f(fl.ctx)
		}
	}
}

// find is where a record is that kgo answers: those before it were noted before kgo was given it, those behind it perhaps not yet.
func (f *flight) find(r *kgo.Record) int {
	answered := f.answered.Load()
	for i := 0; ; i++ {
		if answered>>i&1 == 0 && f.recs[i] == r {
			return i
		}
	}
}

// answer takes kgo's answer. kgo calls it for one record at a time. An ack is counted, and no lock taken, where nobody waits for any.
func (f *flight) answer(r *kgo.Record, err error) {
	c, s, i := f.client, f.session, f.find(r)
	if err != nil || c.acks.easy.Load() != s {
		c.mu.Lock()
		e := c.land(f, i)
		c.mu.Unlock()
		c.answered(s, e, err)
		return
	}
	size := int64(f.sizes[i])
	if s.known(r) {
		s.acked.set(topicPartition{r.Topic, r.Partition}, r.Offset)
	}
	f.promises[i](r, nil) // and the record is the caller's
	f.answered.Or(1 << i) // and the flight another session's, perhaps
	left := s.landed.Add(weight(size))
	if c.acks.easy.Load() != s || c.acks.wanted.Load() && s.roomy(s.goal.Load()-left) { // somebody has begun to wait, or has waited for this
		c.catchUp(s)
	}
}

// land makes an entry of a record; c.mu is held.
func (c *Client) land(f *flight, i int) *entry {
	e := c.box.entry(f.ctx, f.recs[i], f.promises[i])
	e.size = int64(f.sizes[i])
	e.session, e.pending, e.number = f.session, true, f.number+uint64(i) //nolint:gosec // below flightSize
	e.given = f.given[i]
	c.box.sent.insert(e, c.box.sent.tail)
	f.session.given -= weight(e.size)
	c.aim(f.session)
	f.answered.Or(1 << i)
	return e
}

// weight is a record and its bytes in one number: of the sums of two sets of records the difference is right, whatever is carried over, up to 2^28 records and 64 GiB.
func weight(size int64) uint64 { return 1<<weightBits | uint64(size) } //nolint:gosec // not negative

const weightBits = 36

func weighed(sum uint64) (records, bytes int64) {
	return int64(sum >> weightBits), int64(sum & (1<<weightBits - 1)) //nolint:gosec // they fit
}

// roomy says that what kgo has, by weight, leaves enough room to wake somebody who waits for it.
func (s *session) roomy(sum uint64) bool {
	records, bytes := weighed(sum)
	return s.limits.roomy(records, bytes)
}

// aim tells acks how much kgo has, where somebody waits for room; c.mu is held.
func (c *Client) aim(s *session) {
	if c.waiting > 0 {
		s.goal.Store(s.given)
	}
}

// want has acks look whether there is room, from here on; c.mu is held.
func (c *Client) want() {
	if s := c.cur; s != nil {
		s.goal.Store(s.given)
		c.acks.wanted.Store(true)
	}
}

// takeLanded takes in which records of flights were acked meanwhile; c.mu is held.
func (c *Client) takeLanded() {
	s := c.last
	if s == nil {
		return
	}
	landed := s.landed.Load()
	if landed == s.taken {
		return
	}
	records, bytes := weighed(landed - s.taken)
	s.taken = landed
	c.box.count(-int(records), -bytes)
	s.sent -= int(records)
	c.answers += uint64(records) //nolint:gosec // not negative
}
