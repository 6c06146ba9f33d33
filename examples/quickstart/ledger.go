package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// fate is what an application knows of a record that it sent.
type fate int

const (
	committed fate = iota // acked, and its transaction, if any, committed
	aborted               // acked, and its transaction aborted
	doubtful              // the answer never came
)

// entry is a record in the ledger. A doubtful one may have no offset.
type entry struct {
	fate   fate
	key    string
	digest [sha256.Size]byte
	acked  time.Time
}

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

func (p place) String() string { return fmt.Sprintf("%s/%d", p.topic, p.partition) }

// ledger is the applications' own account of what Kafka took: the truth that
// the second cluster is held against.
type ledger struct {
	mu      sync.Mutex
	entries map[place]map[int64]entry
	unacked map[[sha256.Size]byte]int // doubtful records without an offset, by digest
	commits map[string]map[place]int64
}

func newLedger() *ledger {
	return &ledger{
		entries: make(map[place]map[int64]entry), unacked: make(map[[sha256.Size]byte]int),
		commits: make(map[string]map[place]int64),
	}
}

// note writes records down that were sent.
func (l *ledger) note(f fate, records ...*kgo.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		p := place{r.Topic, r.Partition}
		if l.entries[p] == nil {
			l.entries[p] = make(map[int64]entry)
		}
		l.entries[p][r.Offset] = entry{f, string(r.Key), digest(r), time.Now()}
	}
}

// noteUnacked writes records down whose answer never came: they have no offset.
func (l *ledger) noteUnacked(records ...*kgo.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		l.unacked[digest(r)]++
	}
}

// places are the partitions of the ledger, in order.
func (l *ledger) places() []place {
	return slices.SortedFunc(maps.Keys(l.entries), func(a, b place) int {
		if a.topic != b.topic {
			return slices.Index(topics, a.topic) - slices.Index(topics, b.topic)
		}
		return int(a.partition - b.partition)
	})
}

// summary counts the records by topic and fate.
func (l *ledger) summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := make(map[string]map[fate]int)
	for p, entries := range l.entries {
		if count[p.topic] == nil {
			count[p.topic] = make(map[fate]int)
		}
		for _, e := range entries {
			count[p.topic][e.fate]++
		}
	}
	return fmt.Sprintf("acked so far: %d orders, %d payments (and %d of aborted transactions), %d profiles; in doubt: %d",
		count[orders][committed], count[payments][committed], count[payments][aborted], count[profiles][committed],
		count[payments][doubtful]+len(l.unacked))
}

// digest is a SHA-256 of all that a consumer sees of a record but its place.
func digest(r *kgo.Record) [sha256.Size]byte {
	h := sha256.New()
	number(h, r.Timestamp.UnixMilli())
	field(h, r.Key)
	field(h, r.Value)
	number(h, int64(len(r.Headers)))
	for _, header := range r.Headers {
		field(h, []byte(header.Key))
		field(h, header.Value)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// field adds bytes to a digest; null and empty differ.
func field(h hash.Hash, b []byte) {
	if b == nil {
		number(h, -1)
		return
	}
	number(h, int64(len(b)))
	_, _ = h.Write(b)
}

func number(h hash.Hash, n int64) {
	_ = binary.Write(h, binary.BigEndian, n)
}
