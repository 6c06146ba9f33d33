package failover

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// outbox holds records that have no final answer yet, numbered in the order in which they were
// given to kgo, and those that may have to be replayed, in the order of their acks. Within a
// partition the latter come first, and both are in the partition's order. Of most of the former
// there is no entry, but a place in a flight. The client's lock guards it.
type outbox struct {
	sent, kept entries
	// unacked have no answer, acked aren't confirmed by the copy.
	unacked, acked           int
	unackedBytes, ackedBytes int64
	// forgotten are those of the unacked ones whose promises were called because of their contexts.
	forgotten              int
	forgottenBytes         int64
	letGo, waited, blocked int64
	unprotected            unprotected
	movedAt                time.Time // when the copy last confirmed something, or the session began
	// lanes have the kept entries by partition, last is the one of at: acks come many of a
	// partition in a row.
	lanes    map[topicPartition]*lane
	at       topicPartition
	last     *lane
	flights  flights
	number   uint64          // of the next record that is given to kgo
	spare    []*entry        // that nobody looks at any more, for the next records
	unused   int             // how few those have been lately
	done     <-chan struct{} // the last record's context's
	promises sync.WaitGroup  // that are called outside of kgo
}

// lane are the kept entries of a partition, in its order: those before first are gone.
type lane struct {
	kept  []*entry
	first int
}

// entries is a list.
type entries struct{ head, tail *entry }

type topicPartition struct {
	topic     string
	partition int32
}

// entry is a record on its way. What is looked at for each one comes first: there are many, and
// caches are small.
type entry struct {
	rec        *kgo.Record              // what kgo gets: the caller's, or, once kgo has given it back without an answer, the entry's own
	orig       *kgo.Record              // the caller's, or the entry's own where the promise was called
	done       func(*kgo.Record, error) // takes kgo's answer
	promise    func(*kgo.Record, error)
	session    *session // that has it, or had it last
	prev, next *entry
	in         *entries // nil: none

	cancel   context.CancelFunc // of a delivery timeout
	size     int64
	number   uint64 // in the order in which records were given to kgo
	pending  bool   // kgo hasn't answered
	acked    bool
	answered bool // its promise was called, or is about to be
	gone     bool // that was because of its context, whatever becomes of the record
	txn      bool
	moved    bool            // it was given to more than one cluster
	copied   bool            // of another, see again: that one's memory is its own
	given    int32           // the partition that the caller wrote, for a manual partitioner
	pinned   int32           // the partition to produce to again; -1: the partitioner's
	ctx      context.Context // that it was given with
	recCtx   context.Context // the record's own

	offset int64 // as the caller wrote it, and the leader epoch
	epoch  int32
	own    *kgo.Record // see separate
	buf    []byte      // what it owns of memory, see detach
	owned  bool        // rec's memory is that, or a flight's that isn't used again
	// apart: kgo was given a copy, so the caller may be answered while kgo has it. It doesn't
	// change while the entry is pending; owned does, by an ack that is left without the client's
	// lock.
	apart bool
	// claimed is 1 where somebody calls the promise, be it kgo's goroutine without the client's
	// lock, or early.
	claimed uint32
}

func (b *outbox) init() {
	b.lanes = make(map[topicPartition]*lane)
}

// entry is one for a record.
func (b *outbox) entry(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) *entry {
	var e *entry
	if n := len(b.spare) - 1; n >= 0 {
		e, b.spare = b.spare[n], b.spare[:n]
		b.unused = min(b.unused, n)
		e.cancel, e.session = nil, nil
		e.moved, e.acked, e.answered, e.gone, e.txn, e.owned, e.apart, e.claimed = false, false, false, false, false, false, false, 0
	} else {
		e = new(entry)
	}
	e.rec, e.orig, e.promise, e.ctx, e.given, e.pinned, e.offset, e.epoch = r, r, promise, ctx, r.Partition, -1, r.Offset, r.LeaderEpoch
	if e.recCtx = r.Context; e.recCtx == nil {
		e.recCtx = ctx
	}
	e.size = sizeOf(r)
	return e
}

// sizeOf is a record's part of the bounds: its key, value and headers, in bytes.
func sizeOf(r *kgo.Record) int64 {
	size := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		size += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return int64(size)
}

// free takes back an entry that is over. kgo doesn't look at a record whose promise it has called:
// that may change it.
func (b *outbox) free(e *entry) {
	if !e.copied {
		b.spare = append(b.spare, e)
	}
}

// trim lets go of those that weren't needed since the last time, and of what they refer to.
func (b *outbox) trim() {
	n := copy(b.spare, b.spare[b.unused:]) // the last ones are taken first
	clear(b.spare[n:])
	b.spare = b.spare[:n]
	b.unused = n
	b.flights.trim()
}

// address writes into the record what kgo is to know.
func (e *entry) address() {
	e.rec.Context = e.recCtx
	mark(e.rec, e.given, e.pinned)
	if e.pinned < 0 {
		e.rec.Partition = -1 // until kgo has chosen
	}
}

// separate gives the entry a record of its own: what becomes of one that kgo has given back without
// an answer is found out while its promise may be called.
func (e *entry) separate() {
	if e.own == nil {
		e.own = new(kgo.Record)
	}
	if e.rec != e.own {
		*e.own = *e.rec
		e.rec = e.own
	}
}

// detach makes an entry independent of its caller, who may use the record and its memory for
// something else once the promise was called.
func (e *entry) detach() {
	e.separate()
	e.take()
	e.orig, e.promise = e.own, nil
}

// take has a record of the entry's own own its memory as well.
func (e *entry) take() {
	if e.owned {
		return
	}
	buf := e.buf[:0]
	if size := int(e.size); cap(buf) < size || cap(buf) > 2*size+tolerated {
		buf = make([]byte, 0, size)
	}
	e.buf, e.owned = ownMemory(e.own, buf), true
}

// impatient says that its contexts may end before kgo answers.
func (e *entry) impatient() bool { return e.ctx.Done() != nil || e.recCtx.Done() != nil }

// content is a copy of an entry's record, for whoever looks at it without the client's lock.
func (e *entry) content() *kgo.Record {
	own := entry{rec: e.rec, size: e.size}
	own.detach()
	return own.rec
}

// tolerated is how much more memory than it needs an entry may keep, beside as much again: the
// bounds of a replay are of records' bytes.
const tolerated = 64

// again is a copy of an entry, in its place, for the next kgo client: the last one may still look
// at what it was given. Once the promise was called nothing ends its context any more. Its record
// is addressed.
func (b *outbox) again(e *entry) *entry {
	n := new(entry)
	*n = *e
	n.done, n.copied, n.own = nil, true, nil
	n.separate()
	if e.orig == e.own {
		n.orig = n.own
	}
	if e.answered {
		n.ctx, n.cancel, n.recCtx = context.WithoutCancel(e.ctx), nil, context.WithoutCancel(e.recCtx)
	}
	n.claimed, n.apart = 0, n.impatient()
	if n.apart {
		n.buf = nil // the other's
		n.take()
	}
	n.address()
	in, prev := e.in, e.prev
	e.unlink()
	in.insert(n, prev)
	return n
}

// err is why an entry's contexts have ended, or nil.
func (e *entry) err() error {
	if err := e.ctx.Err(); err != nil {
		return err
	}
	return e.recCtx.Err()
}

// insert puts an entry behind another, or first.
func (l *entries) insert(e, prev *entry) {
	next := l.head
	if prev != nil {
		next = prev.next
	}
	e.in, e.prev, e.next = l, prev, next
	if prev != nil {
		prev.next = e
	} else {
		l.head = e
	}
	if next != nil {
		next.prev = e
	} else {
		l.tail = e
	}
}

func (e *entry) unlink() {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		e.in.head = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		e.in.tail = e.prev
	}
	e.in, e.prev, e.next = nil, nil, nil
}

func (b *outbox) push(e *entry) {
	b.sent.insert(e, b.sent.tail)
	b.count(1, e.size)
}

// enlist numbers an entry that is given to kgo. What is given later has a higher number: no flight
// goes on.
func (b *outbox) enlist(e *entry) {
	e.number, b.flights.open = b.number, nil
	b.number++
}

// count takes records without an answer in, or out.
func (b *outbox) count(n int, bytes int64) {
	b.unacked += n
	b.unackedBytes += bytes
}

func (b *outbox) remove(e *entry) {
	switch e.in {
	case nil:
		return
	case &b.kept:
		b.acked--
		b.ackedBytes -= e.size
	default:
		b.count(-1, -e.size)
		if e.gone {
			b.forgotten--
			b.forgottenBytes -= e.size
		}
	}
	e.unlink()
}

// forget notes that nobody waits for an entry any more, which is gone.
func (b *outbox) forget(e *entry) {
	b.forgotten++
	b.forgottenBytes += e.size
}

// keep keeps an acked entry for a replay.
func (b *outbox) keep(e *entry) {
	b.remove(e)
	b.kept.insert(e, b.kept.tail)
	b.acked++
	b.ackedBytes += e.size
	e.acked = true
	l := b.lane(e)
	l.kept = append(l.kept, e)
}

// lane is an entry's.
func (b *outbox) lane(e *entry) *lane {
	at := topicPartition{e.rec.Topic, e.rec.Partition}
	if b.last == nil || b.at != at {
		if b.lanes[at] == nil {
			b.lanes[at] = &lane{}
		}
		b.at, b.last = at, b.lanes[at]
	}
	return b.last
}

// entries are those of a lane.
func (l *lane) entries() []*entry { return l.kept[l.first:] }

// drop takes the first entry off a lane, and makes room where most are gone.
func (l *lane) drop() {
	l.kept[l.first] = nil
	if l.first++; l.first > len(l.kept)/2 {
		n := copy(l.kept, l.kept[l.first:])
		clear(l.kept[n:])
		l.kept, l.first = l.kept[:n], 0
	}
}

// unkeep makes acked entries among es ones that have no ack, before all those that never had one.
func (b *outbox) unkeep(es []*entry) {
	var last *entry
	for _, e := range es {
		if !e.acked {
			continue
		}
		b.remove(e)
		b.sent.insert(e, last)
		b.count(1, e.size)
		e.acked, last = false, e
	}
	clear(b.lanes)
	b.last = nil
	for e := b.kept.head; e != nil; e = e.next {
		l := b.lane(e)
		l.kept = append(l.kept, e)
	}
}

// confirmed forgets acked entries of a partition below an offset.
func (b *outbox) confirmed(at topicPartition, end int64) {
	b.unprotected.confirmed(at, end)
	l := b.lanes[at]
	if l == nil {
		return
	}
	for len(l.entries()) > 0 && l.entries()[0].rec.Offset < end {
		b.movedAt = time.Now()
		e := l.entries()[0]
		l.drop()
		b.remove(e)
		b.free(e)
	}
	b.tidy(at, l)
}

// tidy forgets a lane that is empty.
func (b *outbox) tidy(at topicPartition, l *lane) {
	if len(l.entries()) == 0 {
		delete(b.lanes, at)
		b.last = nil
	}
}

// letOldestGo forgets the oldest acked entry, which is its partition's oldest as well.
func (b *outbox) letOldestGo() {
	e := b.kept.head
	at, l := topicPartition{e.rec.Topic, e.rec.Partition}, b.lane(e)
	l.drop()
	b.remove(e)
	b.letGo++
	b.unprotected.letGo(at, e.rec.Offset)
	b.free(e)
	b.tidy(at, l)
}

// all are the entries, in order.
func (b *outbox) all() (es []*entry) {
	for e := b.kept.head; e != nil; e = e.next {
		es = append(es, e)
	}
	kept := len(es)
	for e := b.sent.head; e != nil; e = e.next {
		es = append(es, e)
	}
	slices.SortStableFunc(es[kept:], func(a, b *entry) int { return cmp.Compare(a.number, b.number) })
	return es
}
