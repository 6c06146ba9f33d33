package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/internal/reach"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// confirm asks what the copy has, and forgets records that needn't be replayed.
func (c *Client) confirm(ctx context.Context) {
	var standby *rawkafka.Cluster
	defer func() {
		if standby != nil {
			standby.Close()
		}
	}()
	name := ""
	for ; ctx.Err() == nil; c.untilFilling(ctx) {
		c.unblock()
		c.tellUnprotected()
		active, topics := c.toConfirm()
		if len(topics) == 0 {
			continue
		}
		if c.cfg.Replay.Confirmed != nil {
			ends, err := c.cfg.Replay.Confirmed(ctx, active, topics)
			c.confirmed(active, ends, err)
			continue
		}
		next := c.standby(active)
		if next.Name == active {
			continue
		}
		if standby == nil || name != next.Name {
			if standby != nil {
				standby.Close()
			}
			var err error
			if standby, err = c.connectTo(ctx, next); err != nil {
				c.retry("ask what the standby has", err)
				standby = nil
				continue
			}
			name = next.Name
		}
		ends, err := watermarks(ctx, standby, topics)
		if err == nil {
			ends, err = c.compare(ctx, standby, ends)
		}
		c.confirmed(active, ends, err)
	}
}

// hurry is how soon is asked again where the buffer fills: where one part in filled of it is in
// use. The less there is, the better for caches.
const (
	hurry  = 20 * time.Millisecond
	filled = 8
)

// untilFilling returns when it is time to ask, or earlier where the buffer fills.
func (c *Client) untilFilling(ctx context.Context) {
	soon := min(hurry, c.cfg.Replay.Every)
	_ = rawkafka.Sleep(ctx, soon)
	t := time.NewTimer(c.cfg.Replay.Every - soon)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.filling:
	case <-ctx.Done():
	}
}

// fills has the copy asked where the buffer fills; c.mu is held.
func (c *Client) fills(r *Replay) {
	if c.box.acked <= r.Records/filled && c.box.ackedBytes <= r.Bytes/filled {
		return
	}
	select {
	case c.filling <- struct{}{}:
	default:
	}
}

// compare says how far the standby has what this client wrote: where it was active before, its log
// may end in records of its own, at the same offsets. Of each partition the last record is compared
// that is on both; an exact copy has what is before it as well, and of what is acked meanwhile
// nothing is known. In a scope's first epoch nothing can be there but the copy.
func (c *Client) compare(ctx context.Context, standby *rawkafka.Cluster, ends map[string]map[int32]int64) (map[string]map[int32]int64, error) {
	last := c.lastKept(ends)
	if last == nil {
		return ends, nil
	}
	var names []string
	for at := range last {
		names = append(names, at.topic)
	}
	slices.Sort(names)
	topics, err := standby.Topics(ctx, slices.Compact(names)...)
	if err != nil {
		return nil, fmt.Errorf("topics: %w", err)
	}
	spans := make(map[rawkafka.Partition]*span, len(last))
	for at, e := range last {
		spans[rawkafka.Partition{Topic: at.topic, TopicID: topics[at.topic].ID, Partition: at.partition}] = &span{from: e.Offset, to: e.Offset + 1}
	}
	compared := make(map[string]map[int32]int64)
	failed, err := readSpans(ctx, standby, spans, func(p rawkafka.Partition, r *kgo.Record) {
		if e := last[topicPartition{p.Topic, p.Partition}]; r.Offset == e.Offset && sameContent(r, e) {
			if compared[p.Topic] == nil {
				compared[p.Topic] = make(map[int32]int64)
			}
			compared[p.Topic][p.Partition] = e.Offset + 1
		}
	})
	for p, err := range failed {
		if !errors.Is(err, kerr.OffsetOutOfRange) { // that is deleted there, and tells nothing
			c.retry(fmt.Sprintf("compare %s at %d with what the standby has", p, spans[p].from), err)
		}
	}
	return compared, err
}

// lastKept are the last of the kept records before each end; nil where they needn't be compared.
func (c *Client) lastKept(ends map[string]map[int32]int64) map[topicPartition]*kgo.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch.Number == 1 || c.cfg.Translate != nil {
		return nil
	}
	last := make(map[topicPartition]*kgo.Record)
	for at, l := range c.box.lanes {
		es, end := l.entries(), ends[at.topic][at.partition]
		if n := sort.Search(len(es), func(i int) bool { return es[i].rec.Offset >= end }); n > 0 {
			last[at] = es[n-1].content() // it may be let go meanwhile
		}
	}
	return last
}

// toConfirm are the topics that have records to confirm.
func (c *Client) toConfirm() (active string, topics []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cur == nil {
		return "", nil
	}
	for at := range c.box.lanes {
		topics = append(topics, at.topic)
	}
	for at := range c.box.unprotected.upTo {
		topics = append(topics, at.topic)
	}
	slices.Sort(topics)
	return c.cur.cluster.Name, slices.Compact(topics)
}

// confirmed takes in how far the copy of a cluster is. What it says counts as long as the client is
// there.
func (c *Client) confirmed(active string, ends map[string]map[int32]int64, err error) {
	if err != nil {
		c.retry("ask what the standby has", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cur == nil || c.cur.cluster.Name != active {
		return
	}
	for topic, ps := range ends {
		for p, end := range ps {
			c.box.confirmed(topicPartition{topic, p}, end)
		}
	}
	c.wake()
}

// standby is the next of the clusters.
func (c *Client) standby(active string) Cluster {
	i := slices.IndexFunc(c.cfg.Clusters, func(cl Cluster) bool { return cl.Name == active })
	return c.cfg.Clusters[(i+1)%len(c.cfg.Clusters)]
}

// connectTo tries a cluster's paths.
func (c *Client) connectTo(ctx context.Context, cl Cluster) (*rawkafka.Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, searchRequest)
	defer cancel()
	return reach.Connect(ctx, cl.AllPaths(), nil)
}

// watermarks are topics' high watermarks. What has an error isn't among them.
func watermarks(ctx context.Context, cl *rawkafka.Cluster, topics []string) (map[string]map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, searchRequest)
	defer cancel()
	found, err := cl.Topics(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("topics: %w", err)
	}
	var ps []rawkafka.Partition
	for name, t := range found {
		for _, p := range t.Partitions {
			ps = append(ps, rawkafka.Partition{Topic: name, TopicID: t.ID, Partition: p.Partition})
		}
	}
	ends, err := cl.ListOffsets(ctx, ps, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return nil, fmt.Errorf("end offsets: %w", err)
	}
	by := make(map[string]map[int32]int64, len(topics))
	for p, end := range ends {
		if end.Err != nil {
			continue
		}
		if by[p.Topic] == nil {
			by[p.Topic] = make(map[int32]int64)
		}
		by[p.Topic][p.Partition] = end.Offset
	}
	return by, nil
}
