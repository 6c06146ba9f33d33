package failover

import (
	"context"
	"fmt"
	"slices"

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
	for ; ctx.Err() == nil; sleep(ctx, c.cfg.Replay.Every) {
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
		c.confirmed(active, ends, err)
	}
}

// toConfirm are the topics that have records to confirm.
func (c *Client) toConfirm() (active string, topics []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cur == nil {
		return "", nil
	}
	for at := range c.box.confirmable {
		topics = append(topics, at.topic)
	}
	slices.Sort(topics)
	return c.cur.cluster.Name, slices.Compact(topics)
}

// confirmed takes in how far the copy of a cluster is. What it says counts as long as the client is there.
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
	c.changed.Broadcast()
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
	return kafkaAccess{}.connect(ctx, cl)
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
