package netfault

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"
)

// Way is the direction that a fault is in.
type Way int

// The directions.
const (
	// Both is requests and answers alike.
	Both Way = iota
	// ToBroker is what clients send: requests don't arrive, and nothing is done.
	ToBroker
	// FromBroker is what brokers send: requests are done, and their answers don't arrive.
	FromBroker
)

// streams are toxiproxy's names.
func (w Way) streams() []string {
	switch w {
	case ToBroker:
		return []string{"upstream"}
	case FromBroker:
		return []string{"downstream"}
	}
	return []string{"upstream", "downstream"}
}

// Blackhole swallows what is sent, silently: connections stay open, new ones are accepted, nothing
// arrives. Without brokers, it is all of them. What was swallowed is lost, so [Net.Heal] closes the
// connections.
func (n *Net) Blackhole(t testing.TB, way Way, brokers ...int32) {
	t.Helper()
	n.add(t, "timeout", way, map[string]int64{"timeout": 0}, brokers)
}

// Cut closes all connections and refuses new ones. Without brokers, it is all of them.
func (n *Net) Cut(t testing.TB, brokers ...int32) {
	t.Helper()
	for _, w := range n.of(t, brokers) {
		w.down()
	}
}

// Reset closes all connections, once. Without brokers, it is all of them.
func (n *Net) Reset(t testing.TB, brokers ...int32) {
	t.Helper()
	for _, w := range n.of(t, brokers) {
		if err := w.reset(); err != nil {
			t.Fatalf("netfault: broker %d: %v", w.broker, err)
		}
	}
}

// Slowness is how slow a network is.
type Slowness struct {
	// Latency is added to what is sent, more or less by Jitter. Both are rounded to milliseconds.
	Latency, Jitter time.Duration
	// KBPerSecond bounds each connection's rate. Zero is no bound.
	KBPerSecond int64
}

// Slow delays what is sent. Without brokers, it is all of them.
func (n *Net) Slow(t testing.TB, way Way, s Slowness, brokers ...int32) {
	t.Helper()
	if s.KBPerSecond > 0 {
		n.add(t, "bandwidth", way, map[string]int64{"rate": s.KBPerSecond}, brokers)
	}
	n.add(t, "latency", way, map[string]int64{"latency": s.Latency.Milliseconds(), "jitter": s.Jitter.Milliseconds()}, brokers)
}

// Lossy cuts what is sent into pieces of some 200 bytes to 1.8 KB that arrive one by one, and now
// and then (each 20 to 500 ms, by the seed) closes all connections to one broker, in the middle of
// whatever they carry. Without brokers, it is all of them.
func (n *Net) Lossy(t testing.TB, way Way, seed uint64, brokers ...int32) {
	t.Helper()
	n.add(t, "slicer", way, map[string]int64{"average_size": 1000, "size_variation": 800, "delay": 50}, brokers)
	n.resetting(rand.New(rand.NewPCG(seed, 0)), n.of(t, brokers))
}

// resetting resets the wires at random until stop is called.
func (n *Net) resetting(random *rand.Rand, wires []*wire) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			timer.Reset(20*time.Millisecond + time.Duration(random.Int64N(int64(480*time.Millisecond))))
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			n.resets.Add(1)
			_ = wires[random.IntN(len(wires))].reset() // Heal tries again
		}
	}()
	earlier := n.stop
	n.stop = func() { earlier(); cancel(); <-done }
}

// Heal ends all faults. Connections under a fault are closed.
func (n *Net) Heal(t testing.TB) {
	t.Helper()
	n.stop()
	n.stop = func() {}
	for _, w := range n.wires {
		if err := w.heal(n.proxy); err != nil {
			t.Fatalf("netfault: broker %d: %v", w.broker, err)
		}
	}
}

// add adds a toxic in each direction of way.
func (n *Net) add(t testing.TB, kind string, way Way, attributes map[string]int64, brokers []int32) {
	t.Helper()
	for _, w := range n.of(t, brokers) {
		for _, stream := range way.streams() {
			text, err := json.Marshal(map[string]any{"type": kind, "stream": stream, "attributes": attributes})
			if err == nil {
				err = w.add(text)
			}
			if err != nil {
				t.Fatalf("netfault: %s to broker %d: %v", kind, w.broker, err)
			}
		}
	}
}

func (w *wire) add(toxic []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.toxic = true
	_, err := w.proxy.Toxics.AddToxicJson(bytes.NewReader(toxic))
	return err
}
