package mirror

import (
	"fmt"
	"testing"
	"time"
)

// gauntlet lets one mirror under load live through all of the faults on both sides, one after the
// other. After each, the standby equals the source by offset; the mirror neither ends nor stops a
// partition, and once the load has ended both are equal to their very ends.
func gauntlet(t *testing.T, prefix string, faults []trouble) {
	t.Helper()
	p := newPair(t)
	l := startLoad(t, p.source, p.standby, prefix, p.random.Uint64(), 200*time.Millisecond)
	m := p.mirror(t, prefix)
	l.same(p.standby, "", time.Minute)
	rounds := 1
	if long() {
		rounds = 10
	}
	for round := range rounds {
		for _, f := range faults {
			for _, s := range []side{p.source, p.standby} {
				t.Logf("round %d: %s: %s", round, s.name, f.name)
				f.do(p, s, l.topics)
				m.running()
				l.same(p.standby, "", catchUp())
			}
		}
	}
	l.settled(p.standby, "", time.Minute)
	l.groupInStep(p.standby)
	m.terminate()
	m.unstopped()
}

// TestFaultBrokers: brokers of either side are killed, stand still, are restarted, and leaders
// move.
func TestFaultBrokers(t *testing.T) { gauntlet(t, "brokers.", brokerFaults()) }

// TestFaultNetwork: the way to either side swallows everything, is cut, slow, or loses connections
// all the time.
func TestFaultNetwork(t *testing.T) { gauntlet(t, "network.", networkFaults()) }

// TestFaultKilled kills the mirror under load, again and again.
func TestFaultKilled(t *testing.T) {
	p := newPair(t)
	l := startLoad(t, p.source, p.standby, "kills.", p.random.Uint64(), 60*time.Millisecond)
	m := p.mirror(t, "kills.")
	l.same(p.standby, "", time.Minute)
	kills := 5
	if long() {
		kills = 50
	}
	for i := range kills {
		p.pass(50*time.Millisecond, 2*time.Second)
		m.running()
		m.kill()
		if i%3 == 0 {
			p.pass(10*time.Millisecond, time.Second)
		}
		m.start()
		if i%10 == 9 {
			l.same(p.standby, "", catchUp())
		}
	}
	l.settled(p.standby, "", catchUp())
	l.groupInStep(p.standby)
	m.terminate()
	m.unstopped()
}

// TestFaultLeaderStopped: on three brokers, one follower standing still now and then, a leader of
// the standby stands still while the mirror is killed and started again, with data and holes under
// way.
func TestFaultLeaderStopped(t *testing.T) {
	p := newPair(t)
	l := startLoad(t, p.source, p.standby, "stopped.", p.random.Uint64(), 60*time.Millisecond)
	m := p.mirror(t, "stopped.")
	l.same(p.standby, "", time.Minute)
	rounds := 4
	if long() {
		rounds = 40
	}
	for i := range rounds {
		topic := l.topics[p.random.IntN(len(l.topics))]
		leader := p.leader(p.standby, topic.name, p.random.Int32N(topic.partitions))
		other := p.broker(p.standby)
		if i%2 == 0 && other != leader {
			p.standby.Pause(t, other)
			p.pass(10*time.Millisecond, time.Second)
		}
		p.standby.Pause(t, leader)
		p.pass(10*time.Millisecond, 500*time.Millisecond)
		m.running()
		m.kill()
		m.start()
		began := time.Now()
		p.pass(200*time.Millisecond, longest())
		p.standby.Resume(t, leader)
		p.standby.Resume(t, other)
		t.Logf("round %d: broker %d stood still for %v after the kill", i, leader, time.Since(began).Round(time.Millisecond))
		l.same(p.standby, "", catchUp())
	}
	l.settled(p.standby, "", catchUp())
	m.terminate()
	m.unstopped()
}

// TestFaultStandsStill: the mirror itself stands still for longer than any lease, and another one
// takes over meanwhile; when the first goes on, nothing is doubled.
func TestFaultStandsStill(t *testing.T) {
	p := newPair(t)
	l := startLoad(t, p.source, p.standby, "still.", p.random.Uint64(), 60*time.Millisecond)
	first := p.mirror(t, "still.")
	l.same(p.standby, "", time.Minute)
	rounds := 1
	if long() {
		rounds = 20
	}
	for i := range rounds {
		first.freeze()
		second := p.mirror(t, "still.")
		l.same(p.standby, "", time.Minute)
		if i%2 == 1 {
			second.kill()
		}
		first.thaw()
		p.pass(10*time.Millisecond, longest())
		if i%2 == 1 {
			second.start()
		}
		l.same(p.standby, "", time.Minute)
		first.kill()
		l.same(p.standby, "", time.Minute)
		first = second
	}
	l.settled(p.standby, "", time.Minute)
}

// TestFaultTwo: two mirrors of the same flow at once, started together, one after the other, killed
// in turn. Either the older one stops with TakenOver, or both do no harm.
func TestFaultTwo(t *testing.T) {
	p := newPair(t)
	l := startLoad(t, p.source, p.standby, "two.", p.random.Uint64(), 60*time.Millisecond)
	mirrors := []*process{p.mirror(t, "two."), p.mirror(t, "two.")}
	l.same(p.standby, "", time.Minute)
	rounds := 2
	if long() {
		rounds = 30
	}
	for range rounds {
		p.pass(500*time.Millisecond, longest())
		one := mirrors[p.random.IntN(2)]
		one.kill()
		one.start()
		l.same(p.standby, "", time.Minute)
	}
	l.settled(p.standby, "", time.Minute)
	for i, m := range mirrors {
		for _, e := range m.seen() {
			if e.Policy == Stop && e.Kind != TakenOver {
				t.Errorf("mirror %d stopped: %s", i, fmt.Sprint(e))
			}
		}
	}
}
