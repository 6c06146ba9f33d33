package rawkafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

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

// metadataTries is how often metadata are asked for, where brokers go away.
const metadataTries = 4

// others is how long the brokers that haven't answered are waited for once one has.
const others = 2 * time.Second

// Everywhere asks each broker for the named topics, or for all (none named), with one request a
// broker, at once. It returns what each that answers says, by name; topics that a broker doesn't
// know aren't in its answer. A broker that has just started, or lags behind, doesn't know what
// others do. Brokers that don't answer, or only 2 s after the first, have no say, unless none does:
// that is the error.
func (c *Cluster) Everywhere(ctx context.Context, names ...string) ([]map[string]Topic, error) {
	var views []map[string]Topic
	err := c.Tries(ctx, "metadata", metadataTries, func() (err error) {
		views, err = c.views(ctx, names)
		return err
	})
	return views, err
}

// views asks each broker once.
func (c *Cluster) views(ctx context.Context, names []string) ([]map[string]Topic, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := c.metadata(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("rawkafka: metadata: %w", err)
	}
	actx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		topics map[string]Topic
		err    error
	}
	answers := make(chan answer, len(resp.Brokers))
	for _, b := range resp.Brokers {
		go func() {
			topics, err := c.topicsOf(actx, b.NodeID, names)
			answers <- answer{topics, err}
		}()
	}
	var views []map[string]Topic
	err = ErrUnknownBroker
	late := time.NewTimer(c.cfg.RequestTimeout)
	defer late.Stop()
	for range resp.Brokers {
		select {
		case a := <-answers:
			if a.err != nil {
				err = a.err
				continue
			}
			if views = append(views, a.topics); len(views) == 1 {
				late.Reset(others)
			}
		case <-late.C:
			return heard(views, errDeadline)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return heard(views, err)
}

// heard are the views, or the error where there are none.
func heard(views []map[string]Topic, err error) ([]map[string]Topic, error) {
	if len(views) == 0 {
		return nil, fmt.Errorf("rawkafka: metadata: %w", err)
	}
	return views, nil
}

// topicsOf is what one broker says of topics.
func (c *Cluster) topicsOf(ctx context.Context, broker int32, names []string) (map[string]Topic, error) {
	got, err := c.Request(ctx, broker, MetadataOf(names...))
	if err != nil {
		return nil, err
	}
	resp := got.(*kmsg.MetadataResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	topics := make(map[string]Topic, len(resp.Topics))
	for _, t := range resp.Topics {
		if t.Topic != nil && !Unknown(kerr.ErrorForCode(t.ErrorCode)) {
			topics[*t.Topic] = topicOf(t)
		}
	}
	c.remember(topics)
	return topics, nil
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
// While another cluster answers it is asked for Config.RetryFor, but not more than 30 s.
func (c *Cluster) metadata(ctx context.Context, req *kmsg.MetadataRequest) (*kmsg.MetadataResponse, error) {
	deadline := time.Now().Add(min(c.cfg.RetryFor, strangerFor))
	for n := 1; ; n++ {
		got, err := Anyone(ctx, c, req)
		resp, _ := got.(*kmsg.MetadataResponse)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		again := n < metadataTries || isWrong(err) && time.Now().Before(deadline)
		if err == nil || !again || ctx.Err() != nil || !Retriable(err) {
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
	if broker, epoch, err = c.leaderIn(topics[p.Topic], p); !Unknown(err) {
		return broker, epoch, err
	}
	l := c.leadersAnywhere(ctx, []Partition{p})[p]
	return l.broker, l.epoch, l.err
}

// leadersAnywhere are the leaders of partitions that one broker doesn't know, by what any says.
func (c *Cluster) leadersAnywhere(ctx context.Context, ps []Partition) map[Partition]leader {
	var names []string
	for _, p := range ps {
		names = append(names, p.Topic)
	}
	slices.Sort(names)
	views, err := c.Everywhere(ctx, slices.Compact(names)...)
	leaders := make(map[Partition]leader, len(ps))
	for _, p := range ps {
		best := leader{-1, -1, err}
		if err == nil {
			best.err = kerr.UnknownTopicOrPartition
		}
		for _, topics := range views {
			t, ok := topics[p.Topic]
			if !ok {
				continue
			}
			broker, epoch, err := c.leaderIn(t, p)
			if best.err != nil && (err == nil || Unknown(best.err)) || err == nil && epoch > best.epoch {
				best = leader{broker, epoch, err}
			}
		}
		leaders[p] = best
	}
	return leaders
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
	if known, ok := c.leaders[p]; ok && known.epoch > l.epoch { // the broker lags behind
		l = known
	}
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
	var unknown []Partition
	for _, p := range ps {
		if _, ok := leaders[p]; ok {
			continue
		}
		l := leader{err: err}
		if err == nil {
			l.broker, l.epoch, l.err = c.leaderIn(topics[p.Topic], p)
		}
		if leaders[p] = l; err == nil && Unknown(l.err) {
			unknown = append(unknown, p)
		}
	}
	if len(unknown) > 0 {
		maps.Copy(leaders, c.leadersAnywhere(ctx, unknown))
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
