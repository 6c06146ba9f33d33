package failover

import (
	"context"
	"maps"
	"sort"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
)

// positions are how far a session's consumer has got: a consumer goes on at what its group has
// committed, and gets again what it had polled beyond that. The client's lock guards them.
type positions struct {
	// polled are the ends of what was polled, by partition.
	polled map[topicPartition]int64
	// earlier are those of sessions before, of partitions that this one hasn't passed yet.
	earlier map[topicPartition]consumed
}

// consumed is an offset in the log of an epoch's cluster.
type consumed struct {
	epoch  register.Epoch
	offset int64
}

// inherit takes over what the session before had polled.
func (p *positions) inherit(last *session) {
	p.earlier = maps.Clone(last.positions.earlier)
	if p.earlier == nil {
		p.earlier = make(map[topicPartition]consumed, len(last.positions.polled))
	}
	for at, end := range last.positions.polled {
		if e, ok := p.earlier[at]; !ok || e.epoch.Number != last.epoch.Number || e.offset < end {
			p.earlier[at] = consumed{last.epoch, end}
		}
	}
}

// reached notes where a partition is consumed on.
func (p *positions) reached(at topicPartition, offset int64) {
	if p.polled == nil {
		p.polled = make(map[topicPartition]int64)
	}
	p.polled[at] = offset
}

// polled takes in what was polled, and counts what of it an earlier session had polled already. It
// says false of a consumer without a group whose next session has taken over its positions already:
// that gives the records again.
func (k *consuming) polled(s *session, fs kgo.Fetches) bool {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	if k.direct != nil && k.c.last != s && fs.NumRecords() > 0 {
		return false
	}
	k.passed(s, fs)
	return true
}

// passed notes positions; c.mu is held.
func (k *consuming) passed(s *session, fs kgo.Fetches) {
	fs.EachPartition(func(p kgo.FetchTopicPartition) {
		if n := len(p.Records); n > 0 {
			at := topicPartition{p.Topic, p.Partition}
			s.positions.reached(at, p.Records[n-1].Offset+1)
			k.passes(s, at, p.Records)
		}
	})
}

// passes counts records of a partition that come again, up to where an earlier session was; c.mu is
// held.
func (k *consuming) passes(s *session, at topicPartition, rs []*kgo.Record) {
	e, ok := s.positions.earlier[at]
	if !ok || k.translates(e.epoch, s.epoch) {
		return
	}
	if e.epoch.Number != s.epoch.Number {
		if e.offset, ok = k.c.below(e.epoch, s.epoch, at, e.offset); !ok {
			delete(s.positions.earlier, at)
			return
		}
		e.epoch = s.epoch
		s.positions.earlier[at] = e
	}
	if k.c.report != nil {
		k.c.report.Redelivered += int64(sort.Search(len(rs), func(i int) bool { return rs[i].Offset >= e.offset }))
	}
	if rs[len(rs)-1].Offset+1 >= e.offset {
		delete(s.positions.earlier, at)
	}
}

// translate has [Config.Translate] say, once for each partition that was polled, where on the
// session's cluster an earlier one was. It may take its time, so no lock is held, and a poll that
// mustn't wait does without.
func (k *consuming) translate(ctx context.Context, s *session, fs kgo.Fetches) {
	if k.c.cfg.Translate == nil {
		return
	}
	fs.EachPartition(func(p kgo.FetchTopicPartition) {
		at := topicPartition{p.Topic, p.Partition}
		k.c.mu.Lock()
		e, ok := s.positions.earlier[at]
		k.c.mu.Unlock()
		if !ok || !k.translates(e.epoch, s.epoch) || len(p.Records) == 0 {
			return
		}
		e.offset, ok = k.c.cfg.Translate(ctx, e.epoch.Active, s.epoch.Active, at.topic, at.partition, e.offset)
		e.epoch = s.epoch
		k.c.mu.Lock()
		defer k.c.mu.Unlock()
		switch now := s.positions.earlier[at]; {
		case now.epoch.Number == e.epoch.Number || now.epoch.Number == 0: // another poll was faster
		case ok:
			s.positions.earlier[at] = e
		default:
			delete(s.positions.earlier, at)
		}
	})
}

// translates says whether offsets of one epoch's cluster are translated to mean something on
// another's.
func (k *consuming) translates(from, to register.Epoch) bool {
	return k.c.cfg.Translate != nil && from.Active != to.Active
}
