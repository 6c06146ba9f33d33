package rawkafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Topic is a topic's metadata.
type Topic struct {
	Name       string
	ID         kadm.TopicID
	Internal   bool
	Err        error
	Partitions []PartitionMetadata // by partition, dense
}

// PartitionMetadata is one partition's metadata.
type PartitionMetadata struct {
	Partition     int32
	Leader        int32 // -1: none
	LeaderEpoch   int32
	Replicas, ISR []int32
	Err           error
}

type leader struct {
	broker, epoch int32
	err           error // never in the cache
}

// Topics asks for fresh metadata of the named topics, or all (none named).
// A topic that doesn't exist has Err set. Topics are never created by asking.
func (c *Cluster) Topics(ctx context.Context, names ...string) (map[string]Topic, error) {
	resp, err := c.metadata(ctx, MetadataOf(names...))
	if err != nil {
		return nil, fmt.Errorf("rawkafka: metadata: %w", err)
	}
	topics := make(map[string]Topic, len(resp.Topics))
	for _, t := range resp.Topics {
		if t.Topic != nil {
			topics[*t.Topic] = topicOf(t)
		}
	}
	for _, name := range names {
		if _, ok := topics[name]; !ok {
			topics[name] = Topic{Name: name, Err: kerr.UnknownTopicOrPartition}
		}
	}
	c.remember(topics)
	return topics, nil
}

// Anywhere asks each broker for a topic, and returns what those say that have it. One that has just started, or lags behind, doesn't know what others do: only what none knows isn't there.
// Brokers that don't answer have no say, unless none does: that is an error.
func (c *Cluster) Anywhere(ctx context.Context, name string) ([]Topic, error) {
	resp, err := c.metadata(ctx, MetadataOf(name))
	if err != nil {
		return nil, fmt.Errorf("rawkafka: metadata: %w", err)
	}
	answers, errs := make([]*kmsg.MetadataResponse, len(resp.Brokers)), make([]error, len(resp.Brokers))
	var wg sync.WaitGroup
	for i, b := range resp.Brokers {
		wg.Go(func() {
			var got kmsg.Response
			if got, errs[i] = c.Request(ctx, b.NodeID, MetadataOf(name)); errs[i] == nil {
				answers[i] = got.(*kmsg.MetadataResponse)
			}
		})
	}
	wg.Wait()
	var there []Topic
	answered := false
	for _, a := range answers {
		if a == nil {
			continue
		}
		answered = true
		for _, t := range a.Topics {
			if t.Topic != nil && *t.Topic == name && !Unknown(kerr.ErrorForCode(t.ErrorCode)) {
				there = append(there, topicOf(t))
			}
		}
	}
	if !answered {
		return nil, fmt.Errorf("rawkafka: metadata: %w", errors.Join(errs...))
	}
	return there, nil
}

// MetadataOf asks for topics, or all (none named). None is created by asking.
func MetadataOf(names ...string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	return req
}

// metadata asks any broker, and another where one has gone away: kgo takes a
// connection's end before the first answer for a fault of the configuration.
func (c *Cluster) metadata(ctx context.Context, req *kmsg.MetadataRequest) (*kmsg.MetadataResponse, error) {
	const tries = 4
	for n := 1; ; n++ {
		got, err := Anyone(ctx, c, req)
		resp, _ := got.(*kmsg.MetadataResponse)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err == nil || n == tries || ctx.Err() != nil || !Retriable(err) {
			return resp, err
		}
		c.retrying("metadata", err)
		if err := Sleep(ctx, Backoff(n)); err != nil {
			return nil, err
		}
	}
}

func topicOf(t kmsg.MetadataResponseTopic) Topic {
	topic := Topic{Name: *t.Topic, ID: t.TopicID, Internal: t.IsInternal, Err: kerr.ErrorForCode(t.ErrorCode)}
	for _, p := range t.Partitions {
		topic.Partitions = append(topic.Partitions, PartitionMetadata{
			Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
			Replicas: p.Replicas, ISR: p.ISR, Err: kerr.ErrorForCode(p.ErrorCode),
		})
	}
	slices.SortFunc(topic.Partitions, func(a, b PartitionMetadata) int { return int(a.Partition - b.Partition) })
	return topic
}

// remember caches the leaders. An older epoch than the one known is a broker
// that lags behind: it is not believed.
func (c *Cluster) remember(topics map[string]Topic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range topics {
		for _, pm := range t.Partitions {
			p := Partition{Topic: t.Name, TopicID: t.ID, Partition: pm.Partition}
			if known, ok := c.leaders[p]; pm.Leader >= 0 && (!ok || pm.LeaderEpoch >= known.epoch) {
				c.leaders[p] = leader{broker: pm.Leader, epoch: pm.LeaderEpoch}
			}
		}
	}
}

// Leader returns the partition's leader and its epoch, from a cache that is
// refreshed where it has none. A topic that was deleted, or re-created under
// the same name, gives an error for which [Unknown] is true. A zero TopicID
// takes the topic of that name, whatever its ID.
func (c *Cluster) Leader(ctx context.Context, p Partition) (broker, epoch int32, err error) {
	if l, ok := c.cached(p); ok {
		return l.broker, l.epoch, nil
	}
	c.mu.Lock()
	c.wanted[p.Topic] = struct{}{}
	c.mu.Unlock()
	select {
	case <-c.refresh:
		defer func() { c.refresh <- struct{}{} }()
	case <-ctx.Done():
		return -1, -1, context.Cause(ctx)
	}
	if l, ok := c.cached(p); ok { // somebody has asked meanwhile
		return l.broker, l.epoch, nil
	}
	topics, err := c.Topics(ctx, c.takeWanted(p.Topic)...)
	if err != nil {
		return -1, -1, err
	}
	return c.leaderIn(topics[p.Topic], p)
}

func (c *Cluster) leaderIn(t Topic, p Partition) (broker, epoch int32, err error) {
	switch {
	case t.Err != nil:
		return -1, -1, t.Err
	case p.TopicID != (kadm.TopicID{}) && t.ID != p.TopicID:
		return -1, -1, kerr.UnknownTopicID
	}
	i := slices.IndexFunc(t.Partitions, func(pm PartitionMetadata) bool { return pm.Partition == p.Partition })
	switch {
	case i < 0:
		return -1, -1, kerr.UnknownTopicOrPartition
	case t.Partitions[i].Leader < 0:
		return -1, -1, kerr.LeaderNotAvailable
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	l := leader{broker: t.Partitions[i].Leader, epoch: t.Partitions[i].LeaderEpoch}
	c.leaders[p] = l
	return l.broker, l.epoch, nil
}

// lead is Leader of many partitions, with at most one request.
func (c *Cluster) lead(ctx context.Context, ps []Partition) map[Partition]leader {
	leaders := make(map[Partition]leader, len(ps))
	var names []string
	for _, p := range ps {
		if l, ok := c.cached(p); ok {
			leaders[p] = l
		} else {
			names = append(names, p.Topic)
		}
	}
	if len(names) == 0 {
		return leaders
	}
	slices.Sort(names)
	topics, err := c.Topics(ctx, slices.Compact(names)...)
	for _, p := range ps {
		if _, ok := leaders[p]; ok {
			continue
		}
		l := leader{err: err}
		if err == nil {
			l.broker, l.epoch, l.err = c.leaderIn(topics[p.Topic], p)
		}
		leaders[p] = l
	}
	return leaders
}

func (c *Cluster) cached(p Partition) (leader, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok := c.leaders[p]
	return l, ok
}

func (c *Cluster) takeWanted(also string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted[also] = struct{}{}
	names := make([]string, 0, len(c.wanted))
	for name := range c.wanted {
		names = append(names, name)
	}
	clear(c.wanted)
	return names
}

// Forget drops the partition's cached leader: the next Leader asks again.
func (c *Cluster) Forget(p Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leaders, p)
}
