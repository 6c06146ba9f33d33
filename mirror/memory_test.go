package mirror

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
)

// A response counts once and whole while any chunk keeps it; what is a small part of one is copied,
// and counts itself.
func TestMemory(t *testing.T) {
	m := newMemory(1000)
	of := &rawkafka.Response{Bytes: 900}
	fetched := func(n int) rawkafka.Fetched { return rawkafka.Fetched{Batches: make([]byte, n), Response: of} }
	big, third, small := keepingOf(fetched(500), 500, 0), keepingOf(fetched(300), 300, 0), keepingOf(fetched(90), 90, 0)
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
	if long := (keeping{bytes: 5000}); !m.room(long).fits {
		t.Error("what comes alone has no room")
	}
	m.keep(keeping{bytes: 200})
	if m.room(big).fits || !m.room(small).fits {
		t.Error("room isn't by what would be kept")
	}
	m.keep(big)
	if !m.room(third).fits {
		t.Error("more of a response that is kept has no room")
	}
}

// What a chunk keeps counts until the standby has its last batch, or the partition is given up.
func TestRelease(t *testing.T) {
	e := &engine{parts: map[rawkafka.Partition]*part{}, moved: make(chan struct{}), memory: newMemory(1000)}
	p := &part{topic: &topic{}, copy: standby.New(nil, nil, rawkafka.Partition{})}
	p.sent = []keeping{{bytes: 10, until: 5}, {bytes: 20, until: 7}, {bytes: 30, until: 9}}
	for _, k := range p.sent {
		e.memory.keep(k)
	}
	for _, step := range []struct{ position, bytes int64 }{{5, 50}, {6, 50}, {8, 30}} {
		p.copy.FoundAt(step.position)
		if e.release(p); int64(e.memory.bytes) != step.bytes {
			t.Errorf("at %d: %d bytes, want %d", step.position, e.memory.bytes, step.bytes)
		}
	}
	if e.void(p, source.Stop); e.memory.bytes != 0 || len(p.sent) > 0 {
		t.Errorf("given up: %d bytes, %d chunks", e.memory.bytes, len(p.sent))
	}
}

// A broker of several that lets nothing go has its part of the memory, and no more: what comes for
// it then isn't waited for, and the others have room still. One that does let some go is waited
// for.
func TestMemoryOfBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(1000)
		for broker := range int32(4) {
			m.leads(broker)
		}
		k := func(broker int32, n int) keeping { return keeping{bytes: n, broker: broker} }
		m.keep(k(0, 200))
		pass(t, time.Second)
		if r := m.room(k(0, 50)); !r.fits {
			t.Errorf("up to its part: %+v", r)
		}
		if r := m.room(k(0, 51)); r.fits || !r.over {
			t.Errorf("more than its part: %+v", r)
		}
		for broker := int32(1); broker < 4; broker++ {
			if r := m.room(k(broker, 250)); !r.fits {
				t.Errorf("broker %d: %+v", broker, r)
			}
			m.keep(k(broker, 250))
		}
		m.drop(k(1, 50))
		if r := m.room(k(1, 100)); r.fits || r.over || r.after <= 0 || r.after > stillAfter {
			t.Errorf("of a broker that has just let some go: %+v", r)
		}
		pass(t, stillAfter)
		if r := m.room(k(1, 100)); r.fits || !r.over {
			t.Errorf("of a broker that lets no more go: %+v", r)
		}
		if m.calm(0) || m.calm(1) {
			t.Error("calm with more than half of the part")
		}
		if m.drop(k(0, 100)); !m.calm(0) {
			t.Error("not calm with less than half of the part")
		}
	})
}

// Of one broker alone all of the memory is, and what has no room is waited for.
func TestMemoryOfOne(t *testing.T) {
	m := newMemory(1000)
	m.leads(3)
	m.keep(keeping{bytes: 900, broker: 3})
	if r := m.room(keeping{bytes: 100, broker: 3}); !r.fits {
		t.Errorf("%+v", r)
	}
	if r := m.room(keeping{bytes: 101, broker: 3}); r.fits || r.over || r.after > 0 {
		t.Errorf("%+v", r)
	}
}
