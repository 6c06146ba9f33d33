package drill

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
)

// Key is a key of a topic. The records of a key are numbered from 0.
type Key struct {
	Topic string
	Key   string
}

func (k Key) String() string { return k.Topic + "/" + k.Key }

// EventKind is what happened to a record.
type EventKind int

// The kinds of events.
const (
	// Sent: a producer has given the record to its client. The sequence is the key's next.
	Sent EventKind = iota + 1
	// Acked: the client has promised that it is durable.
	Acked
	// Stored: it is in the log of the cluster that survived. These come in the log's order.
	Stored
	// Delivered: a consumer of the group got it. These come in the order in which it got them.
	Delivered
)

// Event is something that happened to a record.
type Event struct {
	Kind EventKind
	Key  Key
	// Sequence is the record's number within its key, Partition where it lies (of Stored only).
	Sequence  int64
	Partition int32
}

// Counts are what a ledger found.
type Counts struct {
	// Sent are the records that producers gave to their clients, Acked those with a promise, Stored
	// the records of the drill in the surviving log, doubles included.
	Sent   int64 `json:"sent"`
	Acked  int64 `json:"acked"`
	Stored int64 `json:"stored"`
	// Lost are acked and not stored.
	Lost int64 `json:"lost"`
	// Doubled are copies beyond the first of a record.
	Doubled int64 `json:"duplicated"`
	// Reordered are records that are stored behind a later one of their key. Of a double the first
	// copy counts.
	Reordered int64 `json:"reordered"`
	// Moved are records in another partition than the first one of their key.
	Moved int64 `json:"moved"`
	// Foreign are records that nobody sent, or that aren't as they were sent.
	Foreign int64 `json:"foreign"`
	// InDoubt were sent and never acked: they may be stored, as InDoubtStored of them are, or not.
	InDoubt       int64 `json:"in_doubt"`
	InDoubtStored int64 `json:"in_doubt_stored"`
	// Delivered are deliveries to the group, Redelivered those beyond the first of a record; a
	// double in the log is one too.
	Delivered   int64 `json:"delivered"`
	Redelivered int64 `json:"redelivered"`
	// Skipped are stored and were never delivered.
	Skipped int64 `json:"skipped"`
	// Phantom were delivered and aren't stored: somebody has acted on a record that is no more.
	Phantom int64 `json:"phantom"`
	// Examples are a few of the records that are wrong, with what is.
	Examples []string `json:"examples,omitempty"`
}

// Ledger holds what is known of every record. Its memory grows with the keys and with the holes in
// what was acked, stored and delivered, not with the records. It may be used by several goroutines.
// The zero value is empty.
type Ledger struct {
	mu       sync.Mutex
	lines    map[Key]*line
	foreign  int64
	examples []string
}

// line is a key's.
type line struct {
	next                     int64
	acked, stored, delivered runs
	highest                  int64 // that is stored
	partition                int32 // of the first that is stored

	doubled, reordered, moved, redelivered int64
}

// Count is the ledger of a list of events.
func Count(events iter.Seq[Event]) Counts {
	var l Ledger
	for e := range events {
		l.Note(e)
	}
	return l.Counts()
}

// Note writes an event down.
func (l *Ledger) Note(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.line(e.Key)
	if e.Kind == Sent {
		n.next = max(n.next, e.Sequence+1)
		return
	}
	if e.Sequence < 0 || e.Sequence >= n.next {
		l.alien(e.Key, fmt.Sprintf("%d was never sent", e.Sequence))
		return
	}
	switch e.Kind {
	case Acked:
		n.acked.add(e.Sequence)
	case Stored:
		l.store(n, e)
	case Delivered:
		if !n.delivered.add(e.Sequence) {
			n.redelivered++
		}
	}
}

// Next numbers a record of a key, which is [Sent] by that.
func (l *Ledger) Next(k Key) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.line(k)
	n.next++
	return n.next - 1
}

// Foreign writes down a record that is none of the drill's, or isn't as it was sent.
func (l *Ledger) Foreign(k Key, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alien(k, why)
}

// Delivered says whether a record was delivered.
func (l *Ledger) Delivered(k Key, sequence int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line(k).delivered.has(sequence)
}

// InFlight is how many records were sent and aren't acked.
func (l *Ledger) InFlight() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		n += line.next - line.acked.len()
	}
	return n
}

// ends are each key's next sequence.
func (l *Ledger) ends() map[Key]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	ends := make(map[Key]int64, len(l.lines))
	for k, n := range l.lines {
		ends[k] = n.next
	}
	return ends
}

func (l *Ledger) line(k Key) *line {
	if l.lines == nil {
		l.lines = map[Key]*line{}
	}
	n := l.lines[k]
	if n == nil {
		n = &line{highest: -1, partition: -1}
		l.lines[k] = n
	}
	return n
}

func (l *Ledger) alien(k Key, why string) {
	l.foreign++
	l.examples = example(l.examples, "foreign", k, why)
}

func (l *Ledger) store(n *line, e Event) {
	if n.partition < 0 {
		n.partition = e.Partition
	}
	if n.partition != e.Partition {
		n.moved++
		l.examples = example(l.examples, "moved", e.Key, fmt.Sprintf("%d lies in partition %d, others in %d", e.Sequence, e.Partition, n.partition))
	}
	switch {
	case !n.stored.add(e.Sequence):
		n.doubled++
		l.examples = example(l.examples, "doubled", e.Key, fmt.Sprint(e.Sequence))
	case e.Sequence < n.highest:
		n.reordered++
		l.examples = example(l.examples, "reordered", e.Key, fmt.Sprintf("%d behind %d", e.Sequence, n.highest))
	default:
		n.highest = e.Sequence
	}
}

// Counts adds up.
func (l *Ledger) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := Counts{Foreign: l.foreign, Examples: slices.Clone(l.examples)}
	for _, k := range slices.SortedFunc(maps.Keys(l.lines), func(a, b Key) int { return cmp.Compare(a.String(), b.String()) }) {
		l.lines[k].addTo(&c, k)
	}
	return c
}

func (n *line) addTo(c *Counts, k Key) {
	c.Sent += n.next
	c.Acked += n.acked.len()
	c.Stored += n.stored.len() + n.doubled
	c.Doubled += n.doubled
	c.Reordered += n.reordered
	c.Moved += n.moved
	c.InDoubt += n.next - n.acked.len()
	c.InDoubtStored += n.stored.without(n.acked).len()
	c.Delivered += n.delivered.len() + n.redelivered
	c.Redelivered += n.redelivered
	missing := func(count *int64, what string, r runs) {
		*count += r.len()
		for _, x := range r {
			c.Examples = example(c.Examples, what, k, fmt.Sprintf("%d to %d", x.base, x.end-1))
		}
	}
	missing(&c.Lost, "lost", n.acked.without(n.stored))
	missing(&c.Skipped, "skipped", n.stored.without(n.delivered))
	missing(&c.Phantom, "phantom", n.delivered.without(n.stored))
}

// maxExamples bounds the examples.
const maxExamples = 20

func example(to []string, what string, k Key, detail string) []string {
	if len(to) == maxExamples {
		return to
	}
	return append(to, fmt.Sprintf("%s: %s %s", what, k, detail))
}
