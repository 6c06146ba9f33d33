package mirror

import "github.com/kafkadr/kafkadr/internal/rawkafka"

// memory counts the bytes that chunks keep, until what they hold is appended: copies of their own, or whole responses that they are parts of, each of which counts once.
// The engine's lock guards it.
type memory struct {
	bytes     int
	responses map[*rawkafka.Response]int // that are kept, and by how many chunks
}

// keeping is what a chunk keeps in memory: a response, or, where of is nil, a copy.
type keeping struct {
	of    *rawkafka.Response
	bytes int
	until int64 // the end of the last batch that the copier got of it
}

// keepingOf is what is kept for n bytes of what was fetched: the response, unless most of that would be kept for nothing.
func keepingOf(f rawkafka.Fetched, n int) keeping {
	if 3*n >= f.Response.Bytes {
		return keeping{of: f.Response, bytes: f.Response.Bytes}
	}
	return keeping{bytes: n}
}

// room says whether what was fetched may be kept. What comes alone may, whatever its length.
func (m *memory) room(f rawkafka.Fetched, budget int) bool {
	k := keepingOf(f, len(f.Batches))
	return m.bytes == 0 || k.of != nil && m.responses[k.of] > 0 || m.bytes+k.bytes <= budget
}

func (m *memory) keep(k keeping) {
	if k.of != nil {
		if m.responses == nil {
			m.responses = make(map[*rawkafka.Response]int)
		}
		if m.responses[k.of]++; m.responses[k.of] > 1 {
			return
		}
	}
	m.bytes += k.bytes
}

func (m *memory) drop(k keeping) {
	if k.of != nil {
		if m.responses[k.of]--; m.responses[k.of] > 0 {
			return
		}
		delete(m.responses, k.of)
	}
	m.bytes -= k.bytes
}

// release lets go of what has been appended of a partition; e.mu is held.
func (e *engine) release(p *part) {
	n := 0
	for n < len(p.sent) && p.sent[n].until <= p.position {
		e.memory.drop(p.sent[n])
		n++
	}
	if p.sent = p.sent[n:]; len(p.sent) == 0 {
		p.sent = nil
	}
}

// budget is how much may be kept, share how much of it may be queued by one partition. The rest of the memory is for the requests to the standby.
func (e *engine) budget() int { return int(e.cfg.MemoryBytes / 4 * 3) }

func (e *engine) share() int { return max(e.budget()/(2*max(e.queuing, 1)), e.budget()/64) }
