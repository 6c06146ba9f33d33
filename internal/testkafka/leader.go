package testkafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (c *cluster) MoveLeader(t testing.TB, topic string, partition, broker int32) {
	t.Helper()
	adm := kadm.NewClient(Client(t, c, fresh()))
	Eventually(t, time.Minute, func(ctx context.Context) error {
		p, err := describe(ctx, adm, topic, partition)
		if err != nil {
			return err
		}
		if len(p.Replicas) > 0 && p.Replicas[0] != broker {
			if err := reassign(ctx, adm, p, preferred(p.Replicas, broker)); err != nil {
				return err
			}
		}
		if p.Leader == broker {
			return nil
		}
		set := kadm.TopicsSet{}
		set.Add(topic, partition)
		_, _ = adm.ElectLeaders(ctx, kadm.ElectPreferredReplica, set)
		return fmt.Errorf("%s/%d: the leader is %d", topic, partition, p.Leader)
	})
}

// InSync waits until every replica of every topic is in sync, those of the coordinators' topics
// too: until one more broker may go.
func InSync(t testing.TB, cl Cluster) {
	t.Helper()
	adm := kadm.NewClient(Client(t, cl, fresh()))
	Eventually(t, 3*time.Minute, func(ctx context.Context) error {
		topics, err := adm.ListTopicsWithInternal(ctx)
		if err != nil {
			return err
		}
		topics.EachPartition(func(p kadm.PartitionDetail) {
			if err == nil && (p.Err != nil || p.Leader < 0 || len(p.ISR) < len(p.Replicas)) {
				err = errors.Join(p.Err, fmt.Errorf("%s/%d: the leader is %d, in sync are %v of %v", p.Topic, p.Partition, p.Leader, p.ISR, p.Replicas))
			}
		})
		return err
	})
}

// Create creates topics with a client of its own and waits until they are [Known]. Every test that
// uses a topic right away creates it so. Replicas of -1 are as many as there are brokers.
func Create(t testing.TB, cl Cluster, partitions int32, replicas int16, configs map[string]*string, topics ...string) kadm.CreateTopicResponses {
	t.Helper()
	rs, err := kadm.NewClient(Client(t, cl)).CreateTopics(t.Context(), partitions, replicas, configs, topics...)
	if err == nil {
		err = rs.Error()
	}
	if err != nil {
		t.Fatalf("testkafka: create %v: %v", topics, err)
	}
	Known(t, cl, topics...)
	return rs
}

// Known waits until every broker knows the topics, and a leader of each partition: one that is
// asked right after their creation may not have heard of them. The answer to CreateTopics comes
// from the controller; brokers follow the metadata log, the only broker of a cluster too.
func Known(t testing.TB, cl Cluster, topics ...string) {
	t.Helper()
	c := Client(t, cl, fresh())
	Eventually(t, time.Minute, func(ctx context.Context) error {
		for _, b := range cl.Brokers() {
			if err := knows(ctx, c.Broker(int(b)), topics); err != nil {
				return fmt.Errorf("broker %d: %w", b, err)
			}
		}
		return nil
	})
}

func knows(ctx context.Context, b *kgo.Broker, topics []string) error {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = &name
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, b)
	if err != nil {
		return err
	}
	for _, t := range resp.Topics {
		err = errors.Join(err, kerr.ErrorForCode(t.ErrorCode))
		for _, p := range t.Partitions {
			err = errors.Join(err, kerr.ErrorForCode(p.ErrorCode))
		}
	}
	return err
}

// preferred puts broker first, in place of the last replica where it isn't one.
func preferred(replicas []int32, broker int32) []int32 {
	rest := slices.DeleteFunc(slices.Clone(replicas), func(r int32) bool { return r == broker })
	if len(rest) == len(replicas) {
		rest = rest[:len(rest)-1]
	}
	return append([]int32{broker}, rest...)
}

func reassign(ctx context.Context, adm *kadm.Client, p kadm.PartitionDetail, replicas []int32) error {
	var req kadm.AlterPartitionAssignmentsReq
	req.Assign(p.Topic, p.Partition, replicas)
	res, err := adm.AlterPartitionAssignments(ctx, req)
	if err != nil {
		return err
	}
	return res.Error()
}

func describe(ctx context.Context, adm *kadm.Client, topic string, partition int32) (kadm.PartitionDetail, error) {
	m, err := adm.Metadata(ctx, topic)
	if err != nil {
		return kadm.PartitionDetail{}, err
	}
	td := m.Topics[topic]
	if td.Err != nil {
		return kadm.PartitionDetail{}, td.Err
	}
	p, ok := td.Partitions[partition]
	if !ok {
		return p, fmt.Errorf("%s has no partition %d", topic, partition)
	}
	return p, nil
}

// fresh lets a client ask for leaders again at once; by default it answers from what it knows for
// some seconds.
func fresh() kgo.Opt { return kgo.MetadataMinAge(50 * time.Millisecond) }
