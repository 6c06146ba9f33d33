package failover

import (
	"context"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// flightSize is how many records a flight has at most.
const flightSize = 8

// passed is how many flights are passed over, at most, where one begins.
const passed = 4

// mostSpare is how much memory for copies a flight keeps that is used again.
const mostSpare = 64 << 10

// flight is records that kgo has, and nothing is known of but that, in the order in which it was
// given them. There are many, and caches are small: so there is as little of each as may be, and
// nothing is made anew for them. What is answered other than by an ack becomes an [entry], as if it
// had been one from the start; records that more has to be known of are entries from the start.
type flight struct {
	// What acks look at is together, and apart from the rest.
	client  *Client
	session *session
	// answered has a bit for each record whose promise was called, or that has become an entry. The
	// flight is over when all have it: nobody looks at it any more.
	answered atomic.Uint32
	recs     [flightSize]*kgo.Record
	promises [flightSize]func(*kgo.Record, error)
	sizes    [flightSize]int32 // as they were taken: kgo's hooks may add headers
	// own are what kgo has in place of recs, with memory of their own in buf, where the records'
	// contexts may end: see early.
	own     *[flightSize]kgo.Record
	claimed atomic.Uint32 // has a bit for each of those whose promise somebody calls, be it kgo's goroutine or early

	n      int                      // records; the client's lock guards it
	number uint64                   // of the first, see outbox
	done   func(*kgo.Record, error) // takes kgo's answer to any of them
	next   *flight
	ctx    context.Context   // that they were given with, or one that ends with theirs
	ends   <-chan struct{}   // when it does
	given  [flightSize]int32 // the partitions that the caller wrote
	buf    []byte
	owned  bool               // kgo has copies
	early  [flightSize]*entry // that were answered before kgo did
	kept   bool               // kgo or an entry may look at its memory for longer than it lasts: it isn't used again
}

// copied says that kgo is to have a copy of a record, so that the end of its contexts can be
// answered for while kgo goes on having it: where it has a deadline, or a context of its own. A
// context without a deadline that records in a row share is the application's life; copying all of
// its records costs a third of the client's CPU time, so kgo has the end of those to see, as
// without this client. c.mu is held.
func (c *Client) copied(ctx context.Context, r *kgo.Record) bool {
	done := ctx.Done()
	last := c.box.done
	c.box.done = done
	if r.Context != nil && r.Context.Done() != nil && r.Context.Done() != done {
		return true
	}
	if done == nil {
		return false
	}
	_, deadline := ctx.Deadline()
	return deadline || done != last
}

// flights is a queue of those that aren't over, or weren't when they were looked at. The oldest
// comes first, but for those that were passed over.
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
func (c *Client) fly(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error), size int64, owned bool) {
	s := c.cur
	f := c.board(ctx, s, r, promise, size, owned)
	if f.owned {
		r = &f.own[f.n-1]
	}
	mark(r, r.Partition, -1)
	r.Partition = -1 // until kgo has chosen
	s.cl.Produce(ctx, r, f.done)
}

// copy makes the copy of the last record.
func (f *flight) copy() {
	if f.own == nil {
		f.own = new([flightSize]kgo.Record)
	}
	own := &f.own[f.n-1]
	*own = *f.recs[f.n-1]
	if size := int(f.sizes[f.n-1]); cap(f.buf)-len(f.buf) < size { // those before stay in the old one
		f.buf = make([]byte, 0, max(cap(f.buf), (flightSize-f.n+1)*size))
	}
	f.buf = ownMemory(own, f.buf)
}

// ownMemory has a record's key, value and headers' values be in buf, which is returned.
func ownMemory(r *kgo.Record, buf []byte) []byte {
	r.Key, buf = appended(buf, r.Key)
	r.Value, buf = appended(buf, r.Value)
	if len(r.Headers) > 0 {
		r.Headers = slices.Clone(r.Headers)
	}
	for i := range r.Headers {
		r.Headers[i].Value, buf = appended(buf, r.Headers[i].Value)
	}
	return buf
}

// appended is a copy of b at the end of buf. Null isn't empty.
func appended(buf, b []byte) (own, all []byte) {
	if len(b) == 0 {
		return b, buf
	}
	at := len(buf)
	buf = append(buf, b...)
	return buf[at:len(buf):len(buf)], buf
}

// result writes kgo's answer into the caller's record, whose memory stays its own.
func result(orig, got *kgo.Record) {
	orig.Topic, orig.Partition, orig.Timestamp, orig.Attrs = got.Topic, got.Partition, got.Timestamp, got.Attrs
	orig.ProducerID, orig.ProducerEpoch, orig.LeaderEpoch, orig.Offset = got.ProducerID, got.ProducerEpoch, got.LeaderEpoch, got.Offset
}

// board notes a record in a flight; c.mu is held.
func (c *Client) board(ctx context.Context, s *session, r *kgo.Record, promise func(*kgo.Record, error), size int64, owned bool) *flight {
	f := c.box.flights.open
	if f == nil || f.n == flightSize || f.session != s || f.ends != ctx.Done() || f.owned != owned {
		f = c.box.depart(ctx, c, s)
		f.owned = owned
	}
	f.recs[f.n], f.promises[f.n], f.given[f.n], f.sizes[f.n] = r, promise, r.Partition, int32(size) //nolint:gosec // see light
	if f.n++; f.owned {
		f.copy()
	}
	c.box.count(1, size)
	s.sent++
	s.flush = true
	s.given += weight(size)
	c.aim(s)
	return f
}

// depart begins a flight. One that is over is used again: mostly that is the first. Those before
// it, of a partition that gets no answers, are passed over, a few at a time: trim finds what is
// behind many, and leaves as much as is needed until the next time.
func (b *outbox) depart(ctx context.Context, c *Client, s *session) *flight {
	l := &b.flights
	for n := 0; n < passed && !l.look(); n++ {
	}
	var f *flight
	if n := len(l.spare) - 1; n >= 0 {
		f, l.spare = l.spare[n], l.spare[:n]
		l.unused = min(l.unused, n)
		f.answered.Store(0)
		f.claimed.Store(0)
		f.n, f.buf = 0, f.buf[:0]
		if cap(f.buf) > mostSpare {
			f.buf = nil
		}
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

// look takes the first flight: it is spare where it is over, else the last. It says whether one is
// spare.
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
	if l.open == f {
		l.open = nil
	}
	if f.kept {
		return false
	}
	l.spare = append(l.spare, f)
	return true
}

// over says that all its records were answered; one that is open is over as well then.
func (f *flight) over() bool { return bits.OnesCount32(f.answered.Load()) == f.n }

// trim lets go of what is over, of those that weren't needed since the last time, and of what they
// refer to.
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
		f.own, f.buf = nil, nil
	}
	l.unused = keep
}

// waiting calls f with flights of records that kgo has, and whose contexts may end.
func (l *flights) waiting(f func(*flight)) {
	for fl := l.head; fl != nil; fl = fl.next {
		if fl.owned && bits.OnesCount32(fl.claimed.Load()) < fl.n {
			f(fl)
		}
	}
}

// find is where a record is that kgo answers: those before it were noted before kgo was given it,
// those behind it perhaps not yet.
func (f *flight) find(r *kgo.Record) int {
	for i := 0; f.owned; i++ {
		if &f.own[i] == r {
			return i
		}
	}
	answered := f.answered.Load()
	for i := 0; ; i++ {
		if answered>>i&1 == 0 && f.recs[i] == r {
			return i
		}
	}
}

// answer takes kgo's answer. kgo calls it for one record at a time. An ack is counted, and no lock
// taken, where nobody waits for any.
func (f *flight) answer(r *kgo.Record, err error) {
	c, s, i := f.client, f.session, f.find(r)
	if f.owned && f.claimed.Or(1<<i)>>i&1 == 1 {
		c.mu.Lock()
		e := f.early[i]
		c.mu.Unlock()
		c.answered(s, e, err)
		return
	}
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
	orig := f.recs[i]
	if f.owned {
		if orig.Context == nil {
			orig.Context = f.ctx
		}
		result(orig, r)
	}
	f.promises[i](orig, nil) // and the record is the caller's
	f.answered.Or(1 << i)    // and the flight another session's, perhaps
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
	if f.owned {
		e.rec, f.kept = &f.own[i], true
	}
	c.box.sent.insert(e, c.box.sent.tail)
	f.session.given -= weight(e.size)
	c.aim(f.session)
	f.answered.Or(1 << i)
	return e
}

// weight is a record and its bytes in one number: of the sums of two sets of records the difference
// is right, whatever is carried over, up to 2^28 records and 64 GiB.
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
