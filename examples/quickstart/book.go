package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// book is the shop's own account: which orders it sent, which Kafka acked,
// which it got back, and how far it is in each partition. Orders are known by
// the digest of their content.
type book struct {
	mu      sync.Mutex
	changed chan struct{}

	sent   map[[sha256.Size]byte]int // each order's number
	acked  map[[sha256.Size]byte]bool
	billed map[[sha256.Size]byte]int // how often
	failed []error                   // promises that weren't kept

	next    map[place]int64 // one past the last offset that was billed
	carried map[place]int64 // how far the standby knew the group to be, at a moment before the switch
	back    []step          // where the group got offsets again, since then
	skipped []step          // where it got others than the next

	lastAck time.Time
	pause   time.Duration // the longest between two acks
}

// step is a step in a partition that isn't to the next offset.
type step struct {
	place
	from, to int64
}

func newBook() *book {
	return &book{
		changed: make(chan struct{}), sent: make(map[[sha256.Size]byte]int), acked: make(map[[sha256.Size]byte]bool),
		billed: make(map[[sha256.Size]byte]int), next: make(map[place]int64),
	}
}

// note changes the book, and wakes who waits.
func (b *book) note(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	close(b.changed)
	b.changed = make(chan struct{})
}

// send notes an order before it is sent.
func (b *book) send(r *kgo.Record, n int) {
	d := digest(r)
	b.note(func() { b.sent[d] = n })
}

// ack is the promise of each order.
func (b *book) ack(r *kgo.Record, err error) {
	d := digest(r)
	b.note(func() {
		if err != nil {
			b.failed = append(b.failed, err)
			return
		}
		now := time.Now()
		if b.acked[d] = true; !b.lastAck.IsZero() {
			b.pause = max(b.pause, now.Sub(b.lastAck))
		}
		b.lastAck = now
	})
}

// bill notes an order that the group got.
func (b *book) bill(r *kgo.Record) {
	d, p := digest(r), place{r.Topic, r.Partition}
	b.note(func() {
		b.billed[d]++
		switch next := b.next[p]; {
		case r.Offset < next:
			b.back = append(b.back, step{p, next, r.Offset})
		case r.Offset > next:
			b.skipped = append(b.skipped, step{p, next, r.Offset})
		}
		b.next[p] = r.Offset + 1
	})
}

// wait returns when something is so.
func (b *book) wait(ctx context.Context, what string, so func() bool) error {
	for {
		b.mu.Lock()
		done, changed := so(), b.changed
		b.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, context.Cause(ctx))
		}
	}
}

// look reads the book while nobody writes.
func (b *book) look(at func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at()
}

// unbilled are the orders that were acked and not billed.
func (b *book) unbilled() (numbers []int) {
	for d := range b.acked {
		if b.billed[d] == 0 {
			numbers = append(numbers, b.sent[d])
		}
	}
	return numbers
}

// billedSince says whether an order was billed that was sent after the first n.
func (b *book) billedSince(n int) bool {
	for d := range b.billed {
		if b.sent[d] > n {
			return true
		}
	}
	return false
}

// again counts the orders that were billed more than once.
func (b *book) again() (n int) {
	for times := range maps.Values(b.billed) {
		n += times - 1
	}
	return n
}

// found is what a cluster has of the orders.
type found struct {
	lost, doubled, reordered, foreign int
}

// compare holds a cluster's records against the book.
func (b *book) compare(stored map[place]map[int64]*kgo.Record) (f found) {
	times := make(map[[sha256.Size]byte]int)
	for _, records := range stored {
		last := make(map[string]int) // a key is in one partition
		for _, offset := range slices.Sorted(maps.Keys(records)) {
			r := records[offset]
			d := digest(r)
			n, ours := b.sent[d]
			times[d]++
			switch before, seen := last[string(r.Key)]; {
			case !ours:
				f.foreign++
			case times[d] > 1:
				f.doubled++
			case seen && n < before:
				f.reordered++
			default:
				last[string(r.Key)] = n
			}
		}
	}
	for d := range b.acked {
		if times[d] == 0 {
			f.lost++
		}
	}
	return f
}
