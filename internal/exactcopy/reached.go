package exactcopy

import "github.com/kafkadr/kafkadr/internal/rawkafka"

// Reached is how far the log has got, as far as answered: end is one past the last offset appended,
// durable one past the last that all in-sync replicas are known to have. It may be called by any
// goroutine.
func (p *Partition) Reached() (end, durable int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end, min(p.durable, p.end)
}

// Owns says whether a producer id is one of those that a copy writes a partition with.
func Owns(transactionalID string, name rawkafka.Partition, producerID int64) bool {
	p := newProducer(transactionalID, name)
	_, ok := p.owns(producerID)
	return ok
}
