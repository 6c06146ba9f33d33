package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// configs are the topic's. Small segments and a low dirty ratio let the cleaner at what was
// overwritten; a batch may be a little longer than an entry.
func configs() [][2]string {
	return [][2]string{
		{"cleanup.policy", "compact"},
		{"segment.bytes", "16777216"},
		{"segment.ms", "3600000"}, // mirrors note their lag every few seconds
		{"min.cleanable.dirty.ratio", "0.1"},
		{"max.message.bytes", "4194304"},
	}
}

// prepare finds the topic, or creates it, and waits until it has a leader. Who else creates it at
// the same time does no harm.
func (l *Ledger) prepare(ctx context.Context) (rawkafka.Partition, error) {
	part, err := l.find(ctx)
	if err != nil {
		return part, wrap("write", err)
	}
	if part.Topic != "" {
		return part, l.checkPolicy(ctx)
	}
	for n := 1; ; n++ {
		if err = l.create(ctx); err == nil {
			if part, err = l.made(ctx); err == nil {
				return part, nil
			}
		}
		if n == maxFetches || !rawkafka.Retriable(err) && !rawkafka.Unknown(err) {
			return part, wrap("create", err)
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return part, err
		}
	}
}

// made looks whether the topic is there, with a leader.
func (l *Ledger) made(ctx context.Context) (rawkafka.Partition, error) {
	part, err := l.find(ctx)
	if err == nil && part.Topic == "" {
		err = kerr.UnknownTopicOrPartition
	}
	if err == nil {
		_, _, err = l.cl.Leader(ctx, part)
	}
	return part, err
}

// create makes the topic, or finds it made.
func (l *Ledger) create(ctx context.Context) error {
	return l.cl.Unthrottled(ctx, "create topic "+Topic, func() error { return l.createOnce(ctx) })
}

func (l *Ledger) createOnce(ctx context.Context) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = int32(produceTime.Milliseconds())
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = Topic, 1, -1
	for _, kv := range configs() {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = kv[0], kmsg.StringPtr(kv[1])
		rt.Configs = append(rt.Configs, rc)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(ctx, l.cl.Client())
	if err != nil {
		return err
	}
	if len(resp.Topics) != 1 {
		return fmt.Errorf("the answer has no topic")
	}
	err = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil
	}
	if m := resp.Topics[0].ErrorMessage; err != nil && m != nil {
		return fmt.Errorf("%w (%s)", err, *m)
	}
	return err
}

// checkPolicy refuses a topic whose entries would be deleted by age. Where its configs can't be
// read it is taken on trust.
func (l *Ledger) checkPolicy(ctx context.Context) error {
	rs, err := l.cl.Admin().DescribeTopicConfigs(ctx, Topic)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return nil
	}
	for _, r := range rs {
		for _, c := range r.Configs {
			if c.Key == "cleanup.policy" && r.Err == nil && c.Value != nil && strings.Contains(*c.Value, "delete") {
				return &TopicError{Reason: "cleanup.policy is " + *c.Value + ": entries would be lost; set it to compact"}
			}
		}
	}
	return nil
}
