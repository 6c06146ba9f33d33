package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/topics"
)

// RoundTripConfig is how [RoundTrip] writes and reads.
type RoundTripConfig struct {
	// Topic is the canary topic. Give it a partition on each broker, of one replica, and a short
	// retention: where it has more replicas, a broker that is lost or hangs holds all its
	// partitions up until it has left the in-sync replicas (9 s where it is lost,
	// broker.session.timeout.ms; up to 30 s, replica.lag.time.max.ms), and by the default [Rule]
	// that is long enough to be down. Default "kafkadr-canary".
	Topic string
	// Create makes the topic where it isn't there: a partition for each broker, kept for an hour.
	// Default: nothing is created.
	Create bool
	// Replicas is the replication factor of a topic that is made. Default 1.
	Replicas int16
}

const (
	canaryTopic = topics.Canary
	canaryKey   = "kafkadr-canary"
	canaryHour  = "3600000"
	canaryPause = 50 * time.Millisecond
	fetchWait   = 250 * time.Millisecond
	fetchBytes  = 1 << 20
)

// RoundTrip holds that a record can be written to a canary topic, acknowledged by all in-sync
// replicas, and read again: one with a random value of its own, for each partition that has a
// leader, all at once. One that comes back is enough, so that one broker that is lost, or hangs,
// doesn't count. It needs the rights to describe, write and read the topic, and with Create to
// create it.
func RoundTrip(cfg RoundTripConfig) Probe {
	if cfg.Topic == "" {
		cfg.Topic = canaryTopic
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = 1
	}
	return func(ctx context.Context, t Target) error {
		l := &look{probe: "round trip", target: t}
		return ended(ctx, l.roundTrip(ctx, cfg))
	}
}

func (l *look) roundTrip(ctx context.Context, cfg RoundTripConfig) error {
	md, err := l.canary(ctx, cfg)
	if err != nil {
		return err
	}
	addrs, canaries := placesOf(md)
	if len(canaries) == 0 {
		return l.fault(Offline, fmt.Errorf("no partition of %s has a leader", cfg.Topic))
	}
	cl, err := l.client(ctx, addrs...)
	if err != nil {
		return err
	}
	defer cl.Close()
	brokers := cl.SeedBrokers()
	_, err = first(ctx, l, canaries, func(ctx context.Context, c canary) (struct{}, error) {
		if err := c.trip(ctx, brokers[c.leader]); err != nil {
			return struct{}{}, l.tripped(c, err)
		}
		return struct{}{}, nil
	})
	return err
}

// tripped is the fault of one canary: what a broker answers that isn't about rights is the
// canary's.
func (l *look) tripped(c canary, err error) error {
	at := fmt.Errorf("%s/%d: %w", c.topic, c.partition, err)
	var ke *kerr.Error
	if k := classify(err); k == Unreachable && errors.As(err, &ke) || errors.Is(err, errOmitted) {
		return l.fault(Canary, at)
	}
	return l.failed(at)
}

// canary is metadata that has the topic, which is made where that is wanted.
func (l *look) canary(ctx context.Context, cfg RoundTripConfig) (*kmsg.MetadataResponse, error) {
	for created := false; ; {
		md, err := l.metadata(ctx, []string{cfg.Topic}, func(md *kmsg.MetadataResponse) error {
			if len(md.Topics) != 1 {
				return errOmitted
			}
			if err := kerr.ErrorForCode(md.Topics[0].ErrorCode); denies(err) {
				return fmt.Errorf("%s: %w", cfg.Topic, err)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		_, led := placesOf(md)
		missing := md.Topics[0].ErrorCode == kerr.UnknownTopicOrPartition.Code
		switch {
		case missing && !cfg.Create:
			return nil, l.fault(Config, fmt.Errorf("topic %s isn't there", cfg.Topic))
		case missing && !created:
			if err := l.create(ctx, cfg, md); err != nil {
				return nil, err
			}
			created = true
		case len(led) > 0 || !created:
			return md, nil
		}
		select {
		case <-ctx.Done():
			return nil, l.fault(Timeout, fmt.Errorf("topic %s: %w", cfg.Topic, context.Cause(ctx)))
		case <-time.After(canaryPause):
		}
	}
}

func (l *look) create(ctx context.Context, cfg RoundTripConfig, md *kmsg.MetadataResponse) error {
	cl, err := l.client(ctx)
	if err != nil {
		return err
	}
	defer cl.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = cfg.Topic, int32(max(len(md.Brokers), 1)), cfg.Replicas //nolint:gosec // brokers are few
	for name, value := range map[string]string{"retention.ms": canaryHour, "min.insync.replicas": "1"} {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = name, kmsg.StringPtr(value)
		rt.Configs = append(rt.Configs, rc)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, cl)
	if err == nil && len(resp.Topics) == 1 {
		err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	}
	if err == nil || errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	err = fmt.Errorf("create topic %s: %w", cfg.Topic, err)
	var ke *kerr.Error
	if errors.As(err, &ke) && classify(err) == Unreachable {
		return l.fault(Canary, err)
	}
	return l.failed(err)
}

// canary is a record of one partition. Its leader is an index of the addresses.
type canary struct {
	topic     string
	id        [16]byte
	partition int32
	leader    int
	value     []byte
}

var errOmitted = errors.New("the broker's answer omits the partition")

// placesOf are the addresses of leaders, and a canary for each partition that has one.
func placesOf(md *kmsg.MetadataResponse) (addrs []string, canaries []canary) {
	known := map[int32]string{}
	for _, b := range md.Brokers {
		known[b.NodeID] = net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
	}
	for _, t := range md.Topics {
		for _, p := range t.Partitions {
			addr, ok := known[p.Leader]
			if !ok {
				continue
			}
			i := slices.Index(addrs, addr)
			if i < 0 {
				i, addrs = len(addrs), append(addrs, addr)
			}
			canaries = append(canaries, canary{topic: deref(t.Topic), id: t.TopicID, partition: p.Partition, leader: i, value: []byte(rand.Text())})
		}
	}
	return addrs, canaries
}

// trip writes the record and reads it again.
func (c canary) trip(ctx context.Context, leader *kgo.Broker) error {
	at, err := c.produce(ctx, leader)
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	for {
		found, err := c.fetch(ctx, leader, at)
		if err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		if found {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("fetch: the record at %d isn't there: %w", at, err)
		}
	}
}

func (c canary) produce(ctx context.Context, leader *kgo.Broker) (int64, error) {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, millisLeft(ctx)
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = c.topic, c.id
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = c.partition, batchOf([]byte(canaryKey), c.value, time.Now())
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := leader.Request(ctx, req)
	if err != nil {
		return 0, err
	}
	for _, t := range resp.(*kmsg.ProduceResponse).Topics {
		for _, p := range t.Partitions {
			return p.BaseOffset, kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return 0, errOmitted
}

// millisLeft is how much time the context leaves, or half a minute.
func millisLeft(ctx context.Context) int32 {
	d, ok := ctx.Deadline()
	if !ok {
		return 30_000
	}
	return int32(min(max(time.Until(d).Milliseconds(), 1), 30_000)) //nolint:gosec // at most 30 000
}

func (c canary) fetch(ctx context.Context, leader *kgo.Broker, at int64) (bool, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(fetchWait.Milliseconds()), 1, fetchBytes
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = c.topic, c.id
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = c.partition, at, fetchBytes, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := leader.Request(ctx, req)
	if err != nil {
		return false, err
	}
	fr := resp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(fr.ErrorCode); err != nil {
		return false, err
	}
	for _, t := range fr.Topics {
		for i := range t.Partitions {
			fp, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: at, Topic: c.topic, Partition: c.partition}, &t.Partitions[i], kgo.DefaultDecompressor(), nil)
			return slices.ContainsFunc(fp.Records, func(r *kgo.Record) bool { return bytes.Equal(r.Value, c.value) }), fp.Err
		}
	}
	return false, nil
}
