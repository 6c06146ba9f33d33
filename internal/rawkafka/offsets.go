package rawkafka

import (
	"context"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Offset is an answer of ListOffsets.
type Offset struct {
	Offset, Timestamp int64
	LeaderEpoch       int32
	// CurrentEpoch is the epoch of the leader that answered.
	CurrentEpoch int32
	Err          error
}

// EpochEnd is an answer of OffsetForLeaderEpoch: the end offset of the largest
// epoch that isn't above the one asked for. Both are -1 where the leader knows
// none.
type EpochEnd struct {
	LeaderEpoch int32
	EndOffset   int64
	// CurrentEpoch is the epoch of the leader that answered.
	CurrentEpoch int32
	Err          error
}

// ListOffsets asks the leaders for offsets (Earliest, Latest or at a time),
// many partitions a request. Leader changes are followed for Config.RetryFor;
// what is left has Err set. The error is the context's alone.
func (c *Cluster) ListOffsets(ctx context.Context, ps []Partition, at int64, isolation int8, replica int32) (map[Partition]Offset, error) {
	times := make(map[Partition]int64, len(ps))
	for _, p := range ps {
		times[p] = at
	}
	return c.ListOffsetsAt(ctx, times, isolation, replica)
}

// ListOffsetsAt is ListOffsets with a time for each partition.
func (c *Cluster) ListOffsetsAt(ctx context.Context, at map[Partition]int64, isolation int8, replica int32) (map[Partition]Offset, error) {
	ps := slices.Collect(maps.Keys(at))
	ask := func(ctx context.Context, broker int32, ps []led) (map[Partition]Offset, error) {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID, req.IsolationLevel = replica, isolation
		req.TimeoutMillis = int32(c.cfg.RequestTimeout.Milliseconds())
		for topic, ps := range byTopic(ps) {
			rt := kmsg.NewListOffsetsRequestTopic()
			rt.Topic = topic
			for _, p := range ps {
				rp := kmsg.NewListOffsetsRequestTopicPartition()
				rp.Partition, rp.CurrentLeaderEpoch, rp.Timestamp = p.Partition.Partition, p.epoch, at[p.Partition]
				rt.Partitions = append(rt.Partitions, rp)
			}
			req.Topics = append(req.Topics, rt)
		}
		resp, err := c.Request(ctx, broker, req)
		if err != nil {
			return nil, err
		}
		return listed(ps, resp.(*kmsg.ListOffsetsResponse)), nil
	}
	return eachLeader(ctx, c, "list offsets", ps, ask,
		func(o Offset) error { return o.Err },
		func(err error) Offset {
			return Offset{Offset: -1, Timestamp: -1, LeaderEpoch: -1, CurrentEpoch: -1, Err: err}
		})
}

func listed(ps []led, resp *kmsg.ListOffsetsResponse) map[Partition]Offset {
	names := namesOf(ps)
	answers := make(map[Partition]Offset, len(ps))
	for _, t := range resp.Topics {
		for _, a := range t.Partitions {
			if p, ok := names[place{t.Topic, a.Partition}]; ok {
				answers[p.Partition] = Offset{a.Offset, a.Timestamp, a.LeaderEpoch, p.epoch, kerr.ErrorForCode(a.ErrorCode)}
			}
		}
	}
	return answers
}

// EpochEnds asks the leaders where epochs end (KIP-320, OffsetForLeaderEpoch).
// Errors are as those of ListOffsets.
func (c *Cluster) EpochEnds(ctx context.Context, epochs map[Partition]int32) (map[Partition]EpochEnd, error) {
	ask := func(ctx context.Context, broker int32, ps []led) (map[Partition]EpochEnd, error) {
		req := kmsg.NewPtrOffsetForLeaderEpochRequest()
		req.ReplicaID = Consumer
		for topic, ps := range byTopic(ps) {
			rt := kmsg.NewOffsetForLeaderEpochRequestTopic()
			rt.Topic = topic
			for _, p := range ps {
				rp := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
				rp.Partition, rp.CurrentLeaderEpoch, rp.LeaderEpoch = p.Partition.Partition, p.epoch, epochs[p.Partition]
				rt.Partitions = append(rt.Partitions, rp)
			}
			req.Topics = append(req.Topics, rt)
		}
		resp, err := c.Request(ctx, broker, req)
		if err != nil {
			return nil, err
		}
		return ended(ps, resp.(*kmsg.OffsetForLeaderEpochResponse)), nil
	}
	ps := make([]Partition, 0, len(epochs))
	for p := range epochs {
		ps = append(ps, p)
	}
	return eachLeader(ctx, c, "offset for leader epoch", ps, ask,
		func(e EpochEnd) error { return e.Err },
		func(err error) EpochEnd { return EpochEnd{LeaderEpoch: -1, EndOffset: -1, CurrentEpoch: -1, Err: err} })
}

func ended(ps []led, resp *kmsg.OffsetForLeaderEpochResponse) map[Partition]EpochEnd {
	names := namesOf(ps)
	answers := make(map[Partition]EpochEnd, len(ps))
	for _, t := range resp.Topics {
		for _, a := range t.Partitions {
			if p, ok := names[place{t.Topic, a.Partition}]; ok {
				answers[p.Partition] = EpochEnd{a.LeaderEpoch, a.EndOffset, p.epoch, kerr.ErrorForCode(a.ErrorCode)}
			}
		}
	}
	return answers
}

// place is how requests without topic IDs name a partition.
type place struct {
	topic     string
	partition int32
}

func namesOf(ps []led) map[place]led {
	names := make(map[place]led, len(ps))
	for _, p := range ps {
		names[place{p.Topic, p.Partition.Partition}] = p
	}
	return names
}

func byTopic(ps []led) map[string][]led {
	topics := make(map[string][]led)
	for _, p := range ps {
		topics[p.Topic] = append(topics[p.Topic], p)
	}
	return topics
}
