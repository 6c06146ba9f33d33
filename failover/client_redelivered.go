package failover

import (
	"context"
	"sort"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
)

// positions are how far a session's consumer has got: a consumer goes on at what its group has committed, and gets again what it had polled beyond that.
type positions struct {
	mu sync.Mutex
	// polled are the ends of what was polled, by partition.
	polled map[topicPartition]int64
	// earlier are those of sessions before, of partitions that this one hasn't passed yet.
	earlier map[topicPartition]consumed
}

// consumed is an offset in the log of an epoch's cluster; carried, in that of the session's own.
type consumed struct {
	epoch   register.Epoch
	offset  int64
	carried bool
}

// inherit takes over what the session before had polled.
func (p *positions) inherit(last *session) {
	last.positions.mu.Lock()
	defer last.positions.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.earlier = make(map[topicPartition]consumed, len(last.positions.polled))
	for at, e := range last.positions.earlier {
		if e.carried {
			e.epoch, e.carried = last.epoch, false
		}
		p.earlier[at] = e
	}
	for at, end := range last.positions.polled {
		if e, ok := p.earlier[at]; !ok || e.epoch.Number != last.epoch.Number || e.offset < end {
			p.earlier[at] = consumed{epoch: last.epoch, offset: end}
		}
	}
}

// polled takes in what was polled, and counts what of it an earlier session had polled already.
func (c *Client) polled(ctx context.Context, s *session, fs kgo.Fetches) {
	var again int64
	s.positions.mu.Lock()
	fs.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) == 0 {
			return
		}
		at := topicPartition{p.Topic, p.Partition}
		end := p.Records[len(p.Records)-1].Offset + 1
		if s.positions.polled == nil {
			s.positions.polled = make(map[topicPartition]int64)
		}
		s.positions.polled[at] = end
		e, ok := s.positions.earlier[at]
		if !ok {
			return
		}
		if !e.carried {
			if e.offset, ok = c.carriedEnd(ctx, e.epoch, s.epoch, at, e.offset); !ok {
				delete(s.positions.earlier, at)
				return
			}
			e.carried = true
			s.positions.earlier[at] = e
		}
		again += int64(sort.Search(len(p.Records), func(i int) bool { return p.Records[i].Offset >= e.offset }))
		if end >= e.offset {
			delete(s.positions.earlier, at)
		}
	})
	s.positions.mu.Unlock()
	if again == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.report != nil {
		c.report.Redelivered += again
	}
}

// carriedEnd is where what lies below an offset of one epoch's cluster ends on another's, as far as it is there.
func (c *Client) carriedEnd(ctx context.Context, from, to register.Epoch, at topicPartition, end int64) (int64, bool) {
	if c.cfg.Translate != nil && from.Active != to.Active {
		return c.cfg.Translate(ctx, from.Active, to.Active, at.topic, at.partition, end)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.below(from, to, at, end)
}
