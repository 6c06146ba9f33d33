package backup

import (
	"math"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// gone marks an incarnation that the source has no more.
func (e *engine) gone(t *topic) {
	e.mu.Lock()
	if !t.Deleted.IsZero() {
		e.mu.Unlock()
		return
	}
	t.Deleted, t.changed = time.Now().UTC(), true
	var stop []rawkafka.Partition
	for _, p := range e.parts {
		if p.topic == t {
			p.Turn(source.Drop)
			p.fault = nil
			stop = append(stop, p.Partition)
		}
	}
	told := t.Topic
	e.poke()
	e.mu.Unlock()
	e.reader.Steer(stop...)
	e.hooks.incarnation(told)
}

// adopt takes a topic as the cluster has it now, and returns its partitions
// that are to be looked at: new ones, and all where it was thought gone. states
// are what the archive holds. fresh says that the incarnation is new.
func (e *engine) adopt(d storage.Topic, states map[int32]storage.PartitionState) (look []*part, fresh bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.topics[d.ID]
	if fresh = t == nil; fresh {
		t = &topic{Topic: d, changed: true}
		e.topics[d.ID] = t
	}
	back := !t.Deleted.IsZero()
	d.Partitions = max(d.Partitions, t.Partitions) // a broker that lags behind has fewer
	if !sameTopic(t.Topic, d) {
		t.Topic, t.changed = d, true
	}
	t.policy, t.log = policyOf(d), rawkafka.LogOf(func(key string) string { return configOf(d, key) })
	for i := range d.Partitions {
		id := rawkafka.Partition{Topic: d.Name, TopicID: d.ID, Partition: i}
		p := e.parts[id]
		if p == nil {
			p = e.add(id, t, states)
		} else if !back {
			continue
		}
		p.Turn(source.Return)
		p.LookAt(time.Now())
		look = append(look, p)
	}
	return look, fresh
}

// add begins with a partition; e.mu is held.
func (e *engine) add(id rawkafka.Partition, t *topic, states map[int32]storage.PartitionState) *part {
	p := &part{
		Partition: id, key: segment.Partition{Topic: id.TopicID, Partition: id.Partition}, topic: t,
		epoch: -1, cut: math.MaxInt64, stable: -1, logStart: -1, highWatermark: -1, lastStable: -1,
	}
	if st, ok := states[id.Partition]; ok {
		p.now, p.committedFault, p.known = positionOf(st), st.Fault, true
	} else {
		p.now = newPosition(0, 0)
		e.uncommitted[p] = struct{}{}
	}
	p.durable, p.committed = p.now, p.now
	p.LookAt(time.Now())
	e.parts[id] = p
	return p
}

// sameTopic compares what a snapshot holds of a topic.
func sameTopic(a, b storage.Topic) bool {
	if a.ID != b.ID || a.Name != b.Name || a.Partitions != b.Partitions || a.ReplicationFactor != b.ReplicationFactor ||
		a.Internal != b.Internal || a.ConfigsError != b.ConfigsError || !a.Deleted.Equal(b.Deleted) || len(a.Configs) != len(b.Configs) {
		return false
	}
	for i := range a.Configs {
		x, y := a.Configs[i], b.Configs[i]
		if x.Key != y.Key || x.Source != y.Source || (x.Value == nil) != (y.Value == nil) || x.Value != nil && *x.Value != *y.Value {
			return false
		}
	}
	return true
}
