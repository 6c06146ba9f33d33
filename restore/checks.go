package restore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// requestSlack is what a produce request has beside its batch.
const requestSlack = 4096

// checkTarget compares the cluster's limits with the snapshot.
func (p *planner) checkTarget(ctx context.Context) error {
	if p.cluster.ID() == p.info.ClusterID {
		if !p.cfg.SameCluster {
			p.refuse(clusterConflict("same_cluster", "the target is the source cluster %s", p.info.ClusterID))
		}
	}
	meta, err := p.cluster.Admin().BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("restore: target: brokers: %w", err)
	}
	p.brokers = len(meta.Brokers)
	limit, err := p.requestLimit(ctx, meta.Controller)
	if err != nil {
		p.warn("the target's socket.request.max.bytes couldn't be read: %v", err)
	}
	for _, t := range p.topics {
		t.rf = t.source.ReplicationFactor
		if p.cfg.ReplicationFactor > 0 {
			t.rf = p.cfg.ReplicationFactor
		}
		for _, j := range t.partitions {
			if j.total.maxBatch+requestSlack > limit {
				p.refuse(j.conflict(j.start(), "too_large", "a batch of %d bytes; the target takes requests up to %d (socket.request.max.bytes)", j.total.maxBatch, limit))
			}
		}
	}
	return nil
}

// requestLimit is the longest request that a broker takes.
func (p *planner) requestLimit(ctx context.Context, broker int32) (int64, error) {
	rs, err := p.cluster.Admin().DescribeBrokerConfigs(ctx, broker)
	if err != nil {
		return math.MaxInt64, err
	}
	for _, r := range rs {
		if r.Err != nil {
			return math.MaxInt64, r.Err
		}
		for _, c := range r.Configs {
			if n, err := strconv.ParseInt(c.MaybeValue(), 10, 64); c.Key == "socket.request.max.bytes" && err == nil {
				return n, nil
			}
		}
	}
	return math.MaxInt64, nil
}

// checkTopics looks at the topics that exist, and asks the target whether it would take the others.
func (p *planner) checkTopics(ctx context.Context) error {
	names := make([]string, 0, len(p.topics))
	for _, t := range p.topics {
		names = append(names, t.name)
	}
	if len(names) == 0 {
		return nil
	}
	meta, err := p.cluster.Topics(ctx, names...)
	if err != nil {
		return fmt.Errorf("restore: target: topics: %w", err)
	}
	for _, t := range p.topics {
		t.configs = newTopicConfigs(t.source, t.rf, t.largest())
		for _, j := range t.partitions {
			j.filter.MaxBatch = t.configs.maxBatch()
		}
		m := meta[t.name]
		switch {
		case m.Err == nil:
			p.checkExisting(t, m)
		case errors.Is(m.Err, kerr.UnknownTopicOrPartition):
			if int(t.rf) > p.brokers {
				p.refuse(topicConflict(t.name, "replication_factor", "%d replicas, but the target has %d brokers", t.rf, p.brokers))
			}
		default:
			return fmt.Errorf("restore: target: %s: %w", t.name, m.Err)
		}
	}
	return p.validateConfigs(ctx)
}

// largest is the length of the topic's largest batch.
func (t *topicJob) largest() int64 {
	var n int64
	for _, j := range t.partitions {
		n = max(n, j.total.maxBatch)
	}
	return n
}

// checkExisting looks whether a topic that exists can be the one to restore.
func (p *planner) checkExisting(t *topicJob, m rawkafka.Topic) {
	t.exists, t.id = true, m.ID
	if m.ID == t.source.ID {
		p.refuse(topicConflict(t.name, "same_topic", "the topic is the source's own, topic ID %s", m.ID))
	}
	if c, ok := t.shape(m); !ok {
		p.refuse(c)
		t.exists = false
	}
}

// shape compares partition counts.
func (t *topicJob) shape(m rawkafka.Topic) (Conflict, bool) {
	if len(m.Partitions) != int(t.source.Partitions) {
		return topicConflict(t.name, "partitions", "the target's topic has %d partitions, the snapshot's %d", len(m.Partitions), t.source.Partitions), false
	}
	return Conflict{}, true
}

// positions asks where the target's partitions end.
func (p *planner) positions(ctx context.Context) error {
	var ps []rawkafka.Partition
	jobs := map[rawkafka.Partition]*partitionJob{}
	for _, j := range p.existing() {
		ps = append(ps, j.target())
		jobs[j.target()] = j
	}
	if len(ps) == 0 {
		return nil
	}
	ends, err := p.cluster.Ends(ctx, ps)
	if err != nil {
		return fmt.Errorf("restore: target: end offsets: %w", err)
	}
	for tp, j := range jobs {
		o := ends[tp]
		if o.Err != nil {
			return j.wrap(0, fmt.Errorf("target: end offset: %w", o.Err))
		}
		j.position = o.End
	}
	return nil
}

// contents looks whether what the target holds is ours.
func (p *planner) contents(ctx context.Context) error {
	var found []*partitionJob
	for _, j := range p.existing() {
		if j.position > 0 {
			found = append(found, j)
		}
	}
	results := make([]*Conflict, len(found))
	place := map[*partitionJob]int{}
	for i, j := range found {
		place[j] = i
	}
	err := p.each(ctx, func(ctx context.Context, j *partitionJob) error {
		i, ok := place[j]
		if !ok {
			return nil
		}
		var err error
		results[i], err = p.content(ctx, p.cluster, j)
		return err
	})
	for _, c := range results {
		if c != nil {
			p.refuse(*c)
		}
	}
	return err
}

// maxLooks bounds how often a partition is compared whose log start moves meanwhile.
const maxLooks = 8

// content compares what a partition holds with the archive. It looks again where another restore
// has just moved the log start.
func (j *job) content(ctx context.Context, c *rawkafka.Cluster, pj *partitionJob) (*Conflict, error) {
	for n := 0; ; n++ {
		cf, err := j.contentOnce(ctx, c, pj)
		if n == maxLooks || !errors.Is(err, kerr.OffsetOutOfRange) {
			return cf, err
		}
	}
}

func (j *job) contentOnce(ctx context.Context, c *rawkafka.Cluster, pj *partitionJob) (*Conflict, error) {
	if pj.position > pj.end {
		cf := pj.conflict(pj.end, "foreign_records", "the target ends at %d, beyond what would be restored", pj.position)
		return &cf, nil
	}
	logStart, err := one(ctx, c, pj.target(), rawkafka.Earliest, rawkafka.Consumer)
	if err != nil {
		return nil, pj.wrap(pj.position, fmt.Errorf("target: log start offset: %w", err))
	}
	if logStart > pj.start() {
		cf := pj.conflict(logStart, "log_start", "the target's log starts at %d, the snapshot's at %d", logStart, pj.start())
		return &cf, nil
	}
	// What is not replicated yet can't be read; it is looked at again when the partition is opened.
	high, err := one(ctx, c, pj.target(), rawkafka.Latest, rawkafka.Consumer)
	if err != nil {
		return nil, pj.wrap(pj.position, fmt.Errorf("target: high watermark: %w", err))
	}
	cmp := &comparer{cluster: c, snapshot: j.cfg.Snapshot, job: pj}
	readable := min(high, pj.position)
	pj.settled = readable == pj.end && logStart == pj.start()
	if readable > logStart && logStart < pj.start() {
		if cf, err := cmp.filler(ctx, logStart, min(readable, pj.start())); cf != nil || err != nil {
			return cf, err
		}
	}
	if readable <= pj.start() {
		return nil, nil
	}
	if j.cfg.VerifyTarget {
		return cmp.span(ctx, pj.start(), readable)
	}
	return cmp.spread(ctx, readable)
}

// method asks how holes would be made, and how long a round trip takes.
func (p *planner) method(ctx context.Context) error {
	c, err := p.newCopier(ctx, p.cluster, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	m, err := c.Method(ctx)
	if err != nil {
		return fmt.Errorf("restore: target: hole method: %w", err)
	}
	rtt, err := c.RoundTrip(ctx)
	if err != nil {
		return fmt.Errorf("restore: target: round trip: %w", err)
	}
	p.plan.HoleMethod, p.plan.RoundTrip = string(m), millis.Duration(max(rtt, time.Microsecond))
	return nil
}
