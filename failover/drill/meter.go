package drill

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
)

// meter takes the times of a drill, and what was acked where.
type meter struct {
	mu sync.Mutex

	// fault is when the first fault began, or the command was given; the others are the first since
	// then. Zero: not yet.
	fault, closed, opened, firstAck, firstConsumed time.Time

	acks, consumed int64
	lastAck        time.Time
	longest        time.Duration        // between two acks
	ends           map[place]int64      // one past the last acked offset of each partition, as long as nobody has switched
	before         map[Key]int64        // what each key's next sequence was when the last epoch opened
	epochs         []register.Epoch     // that were written
	failures       map[string]int64     // promises that weren't kept, commits that failed
	changed        chan struct{}        // closed at the next change
	now            func() time.Time     // time.Now
	sequences      func() map[Key]int64 // the ledger's
}

// place is a partition.
type place struct {
	topic     string
	partition int32
}

func newMeter(sequences func() map[Key]int64) *meter {
	return &meter{ends: map[place]int64{}, failures: map[string]int64{}, changed: make(chan struct{}), now: time.Now, sequences: sequences}
}

// signal wakes who waits. The meter is locked.
func (m *meter) signal() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// begin says that the fault begins, or that the command is given.
func (m *meter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault.IsZero() {
		m.fault = m.now()
		m.signal()
	}
}

func (m *meter) ack(r *kgo.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.acks > 0 {
		m.longest = max(m.longest, now.Sub(m.lastAck))
	}
	m.acks++
	m.lastAck = now
	if m.opened.IsZero() {
		p := place{r.Topic, r.Partition}
		m.ends[p] = max(m.ends[p], r.Offset+1)
	} else if m.firstAck.IsZero() {
		m.firstAck = now
	}
	m.signal()
}

// fail counts an error, by its text.
func (m *meter) fail(what string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := what + ": " + err.Error()
	if _, known := m.failures[text]; known || len(m.failures) < maxExamples {
		m.failures[text]++
	}
}

// consume notes a delivery. A record that was sent when the standby was active comes from there.
func (m *meter) consume(k Key, sequence int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.consumed++
	if !m.opened.IsZero() && m.firstConsumed.IsZero() && sequence >= m.before[k] {
		m.firstConsumed = m.now()
	}
	m.signal()
}

// epoch notes an epoch that was written. Only the first switch is timed; one that is given up isn't
// one.
func (m *meter) epoch(e register.Epoch) {
	before := m.sequences()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epochs = append(m.epochs, e)
	switch {
	case e.Closing() && m.closed.IsZero():
		m.closed = m.now()
	case e.From != "" && e.Active != "" && e.Active != e.From && m.opened.IsZero():
		m.opened, m.before = m.now(), before
	}
	m.signal()
}

// view is what a condition may look at.
type view struct {
	fault, closed, opened, firstAck, firstConsumed time.Time
	acks, consumed                                 int64
	epochs                                         int
}

func (m *meter) look() (view, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return view{m.fault, m.closed, m.opened, m.firstAck, m.firstConsumed, m.acks, m.consumed, len(m.epochs)}, m.changed
}

// behind is, for each partition, how many acked records lay beyond the fork of the first epoch that
// opened elsewhere; nil where none did.
func (m *meter) behind() map[place]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.epochs {
		if e.Active == "" || e.From == "" || e.Active == e.From {
			continue
		}
		n := map[place]int64{}
		for p, end := range m.ends {
			fork, _ := e.Fork(p.topic, p.partition)
			n[p] = max(0, end-fork)
		}
		return n
	}
	return nil
}
