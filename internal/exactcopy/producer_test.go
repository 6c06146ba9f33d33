package exactcopy

import (
	"math"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

func TestProducer(t *testing.T) {
	name := rawkafka.Partition{Topic: "t", TopicID: kadm.TopicID{1}, Partition: 3}
	p, same := newProducer("copy", name), newProducer("copy", name)
	if p.pid() != same.pid() {
		t.Error("two processes of a copy have different ids")
	}
	others := map[int64]string{p.id: "itself"}
	for what, other := range map[string]producer{
		"copy":      newProducer("copy2", name),
		"topic id":  newProducer("copy", rawkafka.Partition{Topic: "t", TopicID: kadm.TopicID{2}, Partition: 3}),
		"partition": newProducer("copy", rawkafka.Partition{Topic: "t", TopicID: kadm.TopicID{1}, Partition: 4}),
	} {
		if was, ok := others[other.id]; ok {
			t.Errorf("another %s has the same id as %s", what, was)
		}
		others[other.id] = what
		if _, ok := p.owns(other.pid()); ok {
			t.Errorf("another %s is taken for ours", what)
		}
	}
	for id := range others {
		if id < 1<<62 || id&(generations-1) != 0 {
			t.Errorf("id %x is in the range of the cluster's own", id)
		}
	}
	if _, ok := p.owns(-1); ok {
		t.Error("no producer is taken for ours")
	}
}

func TestProducerState(t *testing.T) {
	p := newProducer("copy", rawkafka.Partition{})
	p.start(1<<31 + 7)
	if p.sequence != 7 || p.epoch != 0 {
		t.Errorf("start: %+v", p)
	}
	p.sequence = math.MaxInt32 - 1
	if p.advance(3); p.sequence != 1 {
		t.Errorf("wrapped to %d, want 1", p.sequence)
	}
	if p.retreat(3); p.sequence != math.MaxInt32-1 {
		t.Errorf("back at %d", p.sequence)
	}
	if p.resume(0, 4, math.MaxInt32); p.sequence != 0 || p.epoch != 4 {
		t.Errorf("behind data: %+v", p)
	}
	if p.resume(0, 4, -1); p.sequence != 0 || p.epoch != 5 {
		t.Errorf("behind a marker: %+v", p)
	}
	p.resume(2, math.MaxInt16-2, 10)
	pid, first, n := p.markers(5)
	if pid != p.id|2 || first != math.MaxInt16-1 || n != 1 || p.sequence != 0 {
		t.Errorf("last epochs: %d %d %+v", first, n, p)
	}
	pid, first, n = p.markers(5)
	if pid != p.id|2 || first != math.MaxInt16 || n != 1 || p.sequence != 0 {
		t.Errorf("the last epoch, alone: %d %d %+v", first, n, p)
	}
	pid, first, n = p.markers(3)
	if pid != p.id|3 || first != 1 || n != 3 {
		t.Errorf("next generation: %x %d %d", pid&0xffff, first, n)
	}
	p.resume(0, math.MaxInt16, -1)
	if p.gen != 1 || p.epoch != 0 || p.sequence != 0 {
		t.Errorf("behind the last epoch's marker: %+v", p)
	}
}

func TestBuffers(t *testing.T) {
	var b buffers
	for _, n := range []int{0, 1, 1024, 1025, 1280, 1281, 4096, 5000, 1 << 20, 1<<20 + 1, 1_100_000, 1 << 30} {
		c, size := class(n)
		if size < n || n > 1024 && size > n+n/4+1 {
			t.Errorf("class(%d) is %d bytes", n, size)
		}
		if same, again := class(size); same != c || again != size {
			t.Errorf("class(%d) is %d, %d; of %d %d, %d", n, c, size, size, same, again)
		}
	}
	one := b.get(5000)
	one = append(one, 1)
	b.put(one)
	if two := b.get(4999); len(two) != 0 || &two[:1][0] != &one[0] {
		t.Error("a buffer wasn't used again")
	}
	b.put(make([]byte, 0, 4999)) // not one of ours: dropped
	if b.held != 0 {
		t.Errorf("%d bytes held", b.held)
	}
}
