package failover

import (
	"context"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// outbox holds records that have no final answer yet, and those that may have to be replayed, in the order in which they were given to kgo: that is their order in their
// partitions. The client's lock guards it.
type outbox struct {
	head, tail *entry
	// unacked have no answer, acked aren't confirmed by the copy.
	unacked, acked           int
	unackedBytes, ackedBytes int64
	letGo                    int64
	// first acked entry by partition, in offset order.
	confirmable map[topicPartition][]*entry
	promises    sync.WaitGroup // that are called outside of kgo
}

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
	size    int64

	prev, next *entry
	in         bool     // the list
	session    *session // that has it, or had it last
	given      int32    // the partition that the caller wrote, for a manual partitioner
	pinned     int32    // the partition to produce to again; -1: the partitioner's
	acked      bool
	answered   bool // its promise was called, or is about to be
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

func (b *outbox) push(e *entry) {
	e.in, e.prev, e.next = true, b.tail, nil
	if b.tail != nil {
		b.tail.next = e
	} else {
		b.head = e
	}
	b.tail = e
	b.unacked++
	b.unackedBytes += e.size
}

func (b *outbox) remove(e *entry) {
	if !e.in {
		return
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		b.head = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		b.tail = e.prev
	}
	e.in, e.prev, e.next = false, nil, nil
	if e.acked {
		b.acked--
		b.ackedBytes -= e.size
		return
	}
	b.unacked--
	b.unackedBytes -= e.size
}

// keep keeps an acked entry for a replay.
func (b *outbox) keep(e *entry) {
	b.unacked--
	b.unackedBytes -= e.size
	b.acked++
	b.ackedBytes += e.size
	e.acked = true
	at := topicPartition{e.rec.Topic, e.rec.Partition}
	b.confirmable[at] = append(b.confirmable[at], e)
}

// confirmed forgets acked entries of a partition below an offset.
func (b *outbox) confirmed(at topicPartition, end int64) {
	es := b.confirmable[at]
	n := 0
	for n < len(es) && (!es[n].in || es[n].rec.Offset < end) {
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
	for e := b.head; e != nil; e = e.next {
		if e.acked {
			b.remove(e)
			b.letGo++
			at := topicPartition{e.rec.Topic, e.rec.Partition}
			if es := b.confirmable[at]; len(es) > 0 && es[0] == e {
				b.confirmable[at] = es[1:]
			}
			return
		}
	}
}

// all are the entries, in order.
func (b *outbox) all() (es []*entry) {
	for e := b.head; e != nil; e = e.next {
		es = append(es, e)
	}
	return es
}
