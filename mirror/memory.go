package mirror

import (
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// memory counts the bytes that chunks keep, until what they hold is appended: copies of their own,
// or whole responses that they are parts of, each of which counts once. It also counts them by the
// standby's broker that they are for: one that stands still fills its own part of the memory, and
// no more.
type memory struct {
	budget int

	mu        sync.Mutex
	bytes     int
	responses map[*rawkafka.Response]int // that are kept, and by how many chunks
	brokers   map[int32]*brokerMemory
	freed     chan struct{} // closed and replaced when something is let go
}

// brokerMemory is what is kept for one broker.
type brokerMemory struct {
	bytes     int
	responses map[*rawkafka.Response]int
	queuing   int       // partitions that have something queued
	freed     time.Time // when something was let go
}

// keeping is what a chunk keeps in memory: a response, or, where of is nil, a copy.
type keeping struct {
	of     *rawkafka.Response
	bytes  int
	broker int32 // of the standby, that leads the partition
	until  int64 // the end of the last batch that the copier got of it
}

// stillAfter is how long a broker has let nothing go until what comes for it is no more waited for.
const stillAfter = 50 * time.Millisecond

func newMemory(budget int) *memory {
	return &memory{budget: budget, responses: make(map[*rawkafka.Response]int), brokers: make(map[int32]*brokerMemory), freed: make(chan struct{})}
}

// of is what is kept for a broker; m.mu is held.
func (m *memory) of(broker int32) *brokerMemory {
	b := m.brokers[broker]
	if b == nil {
		b = &brokerMemory{responses: make(map[*rawkafka.Response]int)}
		m.brokers[broker] = b
	}
	return b
}

// leads notes that a broker leads partitions: from now on it has a part of the budget.
func (m *memory) leads(broker int32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(broker)
}

// most is how much may be kept for one broker; m.mu is held.
func (m *memory) most() int {
	return max(m.budget/max(len(m.brokers), 1), m.budget/4)
}

// keepingOf is what is kept for n bytes of what was fetched: the response, unless most of that
// would be kept for nothing.
func keepingOf(f rawkafka.Fetched, n int, broker int32) keeping {
	if 3*n >= f.Response.Bytes {
		return keeping{of: f.Response, bytes: f.Response.Bytes, broker: broker}
	}
	return keeping{bytes: n, broker: broker}
}

// room is whether something may be kept.
type room struct {
	fits bool
	// over: its broker has more than its part of the memory, and lets nothing go. Nobody waits for
	// it.
	over bool
	// Else it is to be asked again once something was let go, or after a while where that is above
	// 0.
	freed <-chan struct{}
	after time.Duration
}

// room says whether what was fetched may be kept. A broker for which nothing is kept may have a
// response or batch of any length, while there is room at all.
func (m *memory) room(k keeping) room {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, grows := m.of(k.broker), k.bytes
	if k.of != nil && m.responses[k.of] > 0 {
		grows = 0
	}
	switch {
	case b.bytes == 0 && m.bytes < m.budget, k.of != nil && b.responses[k.of] > 0:
		return room{fits: true}
	case len(m.brokers) > 1 && b.bytes+k.bytes > m.most():
		still := time.Since(b.freed)
		return room{over: still >= stillAfter, freed: m.freed, after: stillAfter - still}
	case m.bytes+grows > m.budget:
		return room{freed: m.freed}
	}
	return room{fits: true}
}

func (m *memory) keep(k keeping) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of(k.broker)
	if k.of == nil {
		m.bytes, b.bytes = m.bytes+k.bytes, b.bytes+k.bytes
		return
	}
	if m.responses[k.of]++; m.responses[k.of] == 1 {
		m.bytes += k.bytes
	}
	if b.responses[k.of]++; b.responses[k.of] == 1 {
		b.bytes += k.bytes
	}
}

func (m *memory) drop(k keeping) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.of(k.broker)
	b.freed = time.Now()
	close(m.freed)
	m.freed = make(chan struct{})
	if k.of == nil {
		m.bytes, b.bytes = m.bytes-k.bytes, b.bytes-k.bytes
		return
	}
	if m.responses[k.of]--; m.responses[k.of] == 0 {
		delete(m.responses, k.of)
		m.bytes -= k.bytes
	}
	if b.responses[k.of]--; b.responses[k.of] == 0 {
		delete(b.responses, k.of)
		b.bytes -= k.bytes
	}
}

// queuing notes that a partition of a broker has begun, or ceased, to have something queued.
func (m *memory) queuing(broker int32, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(broker).queuing += n
}

// share is how much may be queued by one partition of a broker. The rest of the memory is for the
// requests to the standby.
func (m *memory) share(broker int32) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return max(m.most()/(2*max(m.of(broker).queuing, 1)), m.budget/64)
}

// free is how much a broker lacks to half of its part.
func (m *memory) free(broker int32) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return min(m.most()/2-m.of(broker).bytes, m.budget/2-m.bytes)
}

// calm says that a broker's part of the memory is half empty.
func (m *memory) calm(broker int32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(broker).bytes <= m.most()/2
}

// letGo is closed once something is let go.
func (m *memory) letGo() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.freed
}

// release lets go of what has been appended of a partition; e.mu is held.
func (e *engine) release(p *part) {
	n, position := 0, p.copy.Position()
	for n < len(p.sent) && p.sent[n].until <= position {
		e.memory.drop(p.sent[n])
		n++
	}
	if p.sent = p.sent[n:]; len(p.sent) == 0 {
		p.sent = nil
	}
}
