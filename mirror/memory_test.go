package mirror

import (
	"testing"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// A response counts once and whole while any chunk keeps it; what is a small part of one is copied, and counts itself.
func TestMemory(t *testing.T) {
	var m memory
	of := &rawkafka.Response{Bytes: 900}
	fetched := func(n int) rawkafka.Fetched { return rawkafka.Fetched{Batches: make([]byte, n), Response: of} }
	big, third, small := keepingOf(fetched(500), 500), keepingOf(fetched(300), 300), keepingOf(fetched(90), 90)
	if big.of != of || third.of != of || small.of != nil || small.bytes != 90 {
		t.Fatalf("%+v %+v %+v", big, third, small)
	}
	steps := []struct {
		do    func(keeping)
		k     keeping
		bytes int
	}{
		{m.keep, big, 900}, {m.keep, third, 900}, {m.keep, small, 990}, {m.drop, big, 990}, {m.drop, small, 900}, {m.drop, third, 0},
	}
	for i, s := range steps {
		if s.do(s.k); m.bytes != s.bytes {
			t.Fatalf("step %d: %d bytes, want %d", i, m.bytes, s.bytes)
		}
	}
	if len(m.responses) > 0 {
		t.Errorf("%d responses", len(m.responses))
	}
	if !m.room(fetched(500), 10) {
		t.Error("what comes alone has no room")
	}
	m.keep(keeping{bytes: 200})
	if m.room(fetched(500), 1000) || !m.room(fetched(90), 1000) {
		t.Error("room isn't by what would be kept")
	}
	m.keep(big)
	if !m.room(fetched(300), 1000) {
		t.Error("more of a response that is kept has no room")
	}
}

// What a chunk keeps counts until the standby has its last batch, or the partition is given up.
func TestRelease(t *testing.T) {
	e := &engine{parts: map[rawkafka.Partition]*part{}, moved: make(chan struct{})}
	p := &part{topic: &topic{}, position: 5}
	p.sent = []keeping{{bytes: 10, until: 5}, {bytes: 20, until: 7}, {bytes: 30, until: 9}}
	for _, k := range p.sent {
		e.memory.keep(k)
	}
	for _, step := range []struct{ position, bytes int64 }{{5, 50}, {6, 50}, {8, 30}} {
		p.position = step.position
		if e.release(p); int64(e.memory.bytes) != step.bytes {
			t.Errorf("at %d: %d bytes, want %d", step.position, e.memory.bytes, step.bytes)
		}
	}
	if e.breakLocked(p); e.memory.bytes != 0 || len(p.sent) > 0 {
		t.Errorf("given up: %d bytes, %d chunks", e.memory.bytes, len(p.sent))
	}
}
