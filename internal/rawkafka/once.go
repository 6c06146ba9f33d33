package rawkafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Read is what one response has of one partition.
type Read struct {
	// Answer is the partition's part of the response. Nil: a full response has left it out.
	Answer *kmsg.FetchResponseTopicPartition
	// Idle says that the response has no records of any partition, and that no quota held it back:
	// what is at the offset then isn't there to be read.
	Idle bool
	Err  error
}

// ReadOnce asks the leaders for records from offsets on, of open and aborted transactions too: one
// request a broker, all brokers at once. Leader changes are followed for Config.RetryFor; what is
// left has Err set. The error is the context's alone.
func (c *Cluster) ReadOnce(ctx context.Context, from map[Partition]int64, maxBytes int32, maxWait time.Duration) (map[Partition]Read, error) {
	ps := make([]Partition, 0, len(from))
	for p := range from {
		ps = append(ps, p)
	}
	ask := func(ctx context.Context, broker int32, ps []led) (map[Partition]Read, error) {
		resp, err := c.Request(ctx, broker, readRequest(ps, from, maxBytes, maxWait))
		if err != nil {
			return nil, err
		}
		return reads(ps, resp.(*kmsg.FetchResponse))
	}
	return eachLeader(ctx, c, "fetch", ps, ask, func(r Read) error { return r.Err }, func(err error) Read { return Read{Err: err} })
}

func readRequest(ps []led, from map[Partition]int64, maxBytes int32, maxWait time.Duration) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = int32(maxWait.Milliseconds()), 1, maxBytes, -1
	for topic, ps := range byTopic(ps) {
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic, rt.TopicID = topic, ps[0].TopicID
		for _, p := range ps {
			rp := kmsg.NewFetchRequestTopicPartition()
			rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = p.Partition.Partition, from[p.Partition], maxBytes, p.epoch
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	return req
}

func reads(ps []led, resp *kmsg.FetchResponse) (map[Partition]Read, error) {
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	find := index(resp)
	idle := resp.ThrottleMillis == 0
	for _, p := range ps {
		if a := find(p.Partition); a == nil || len(a.RecordBatches) > 0 {
			idle = false
		}
	}
	rs := make(map[Partition]Read, len(ps))
	for _, p := range ps {
		r := Read{Answer: find(p.Partition), Idle: idle}
		if r.Answer != nil {
			r.Err = kerr.ErrorForCode(r.Answer.ErrorCode)
		}
		rs[p.Partition] = r
	}
	return rs, nil
}
