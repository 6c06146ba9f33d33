package failover

import (
	"bytes"
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// outbox holds records that have no final answer yet, in the order in which they were given to kgo, and those that may have to be replayed, in the order of their acks. Within a partition the latter
// come first, and both are in the partition's order. The client's lock guards it.
type outbox struct {
	sent, kept entries
	// unacked have no answer, acked aren't confirmed by the copy.
	unacked, acked           int
	unackedBytes, ackedBytes int64
	letGo, waited            int64
	// kept entries by partition.
	confirmable map[topicPartition][]*entry
	promises    sync.WaitGroup // that are called outside of kgo
}

// entries is a list.
type entries struct{ head, tail *entry }

type topicPartition struct {
	topic     string
	partition int32
}

// entry is a record on its way. kgo gets a copy, so that a client that is ended doesn't touch the caller's.
type entry struct {
	rec     kgo.Record
	context entryContext
	orig    *kgo.Record
	promise func(*kgo.Record, error)
	ctx     context.Context
	cancel  context.CancelFunc // of a delivery timeout
	size    int64

	prev, next *entry
	in         *entries // nil: none
	session    *session // that has it, or had it last
	moved      bool     // it was given to more than one cluster
	pending    bool     // kgo hasn't answered
	given      int32    // the partition that the caller wrote, for a manual partitioner
	pinned     int32    // the partition to produce to again; -1: the partitioner's
	acked      bool
	answered   bool // its promise was called, or is about to be
	gone       bool // that was because of its context, whatever becomes of the record
	txn        bool
}

func (b *outbox) init() { b.confirmable = make(map[topicPartition][]*entry) }

func newEntry(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error)) *entry {
	e := &entry{rec: *r, orig: r, promise: promise, ctx: ctx, given: r.Partition, pinned: -1}
	e.context = entryContext{r.Context, e}
	if e.context.Context == nil {
		e.context.Context = ctx
	}
	e.rec.Context = &e.context
	e.rec.Partition = -1 // until kgo has chosen
	e.size = int64(len(r.Key) + len(r.Value))
	for _, h := range r.Headers {
		e.size += int64(len(h.Key) + len(h.Value))
	}
	return e
}

// own makes an entry independent of its caller, who may use the record's memory for something else once the promise was called.
func (e *entry) own() {
	e.rec.Key, e.rec.Value = bytes.Clone(e.rec.Key), bytes.Clone(e.rec.Value)
	headers := e.rec.Headers
	e.rec.Headers = nil
	for _, h := range headers {
		e.rec.Headers = append(e.rec.Headers, kgo.RecordHeader{Key: h.Key, Value: bytes.Clone(h.Value)})
	}
	e.orig, e.promise = &e.rec, nil
}

// again is a copy of an entry, in its place, for the next kgo client: the last one may still look at what it was given. Once the promise was called nothing ends its context any more.
func (b *outbox) again(e *entry) *entry {
	n := new(entry)
	*n = *e
	if e.orig == &e.rec {
		n.orig = &n.rec
	}
	if e.answered {
		n.ctx, n.cancel, n.context.Context = context.WithoutCancel(e.ctx), nil, context.WithoutCancel(e.context.Context)
	}
	n.context.entry = n
	n.rec.Context = &n.context
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
	return e.context.Err()
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
	b.unacked++
	b.unackedBytes += e.size
}

func (b *outbox) remove(e *entry) {
	switch e.in {
	case nil:
		return
	case &b.kept:
		b.acked--
		b.ackedBytes -= e.size
	default:
		b.unacked--
		b.unackedBytes -= e.size
	}
	e.unlink()
}

// keep keeps an acked entry for a replay.
func (b *outbox) keep(e *entry) {
	b.remove(e)
	b.kept.insert(e, b.kept.tail)
	b.acked++
	b.ackedBytes += e.size
	e.acked = true
	at := topicPartition{e.rec.Topic, e.rec.Partition}
	b.confirmable[at] = append(b.confirmable[at], e)
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
		b.unacked++
		b.unackedBytes += e.size
		e.acked, last = false, e
	}
	clear(b.confirmable)
	for e := b.kept.head; e != nil; e = e.next {
		at := topicPartition{e.rec.Topic, e.rec.Partition}
		b.confirmable[at] = append(b.confirmable[at], e)
	}
}

// confirmed forgets acked entries of a partition below an offset.
func (b *outbox) confirmed(at topicPartition, end int64) {
	es := b.confirmable[at]
	n := 0
	for n < len(es) && es[n].rec.Offset < end {
		b.remove(es[n])
		es[n] = nil
		n++
	}
	if es = es[n:]; len(es) == 0 {
		delete(b.confirmable, at)
		return
	}
	b.confirmable[at] = es
}

// letOldestGo forgets the oldest acked entry.
func (b *outbox) letOldestGo() {
	e := b.kept.head
	b.remove(e)
	b.letGo++
	at := topicPartition{e.rec.Topic, e.rec.Partition}
	es := b.confirmable[at]
	es[0] = nil // it is the partition's oldest as well
	b.confirmable[at] = es[1:]
}

// all are the entries, in order.
func (b *outbox) all() (es []*entry) {
	for e := b.kept.head; e != nil; e = e.next {
		es = append(es, e)
	}
	for e := b.sent.head; e != nil; e = e.next {
		es = append(es, e)
	}
	return es
}
