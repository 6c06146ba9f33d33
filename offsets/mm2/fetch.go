package mm2

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const fetchBytes = 4 << 20

// errTooLarge ends a reading that would take more bytes than allowed.
var errTooLarge = errors.New("more bytes than may be read")

// target reads records of the target cluster through a client whose own consuming, if any, it leaves alone.
type target struct {
	cl       *kgo.Client
	adm      *kadm.Client
	retryFor time.Duration
	onRetry  func(op string, err error)
}

// span is a piece of a partition's log: [from, to).
type span struct {
	topic     string
	partition int32
	from, to  int64
	isolation kgo.IsolationLevel
	maxBytes  int64 // with maxRecords; 0: no bound
}

// maxRecords bounds the memory of a bounded reading: 16 bytes each.
const maxRecords = 16 << 20

// read calls each with the span's records, in order. Records that the cleaner took, and control records, aren't there. Past maxBytes the error
// is errTooLarge.
func (t *target) read(ctx context.Context, s span, each func(*kgo.Record)) error {
	f := fetcher{target: t, span: s, at: s.from}
	progress := time.Now()
	for n := 0; f.at < s.to; n++ {
		at := f.at
		err := f.fetch(ctx, each)
		if f.at > at {
			progress, n = time.Now(), 0
		}
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !rawkafka.Retriable(err) && !kerr.IsRetriable(err) || time.Since(progress) > t.retryFor:
			return err
		}
		f.leader = nil
		t.onRetry("fetch "+s.topic, err)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
	return nil
}

// fetcher is a reading under way.
type fetcher struct {
	*target
	span
	at     int64
	bytes  int64
	count  int
	leader *kgo.Broker
	id     kadm.TopicID
}

// fetch reads what one response has, and moves on behind it.
func (f *fetcher) fetch(ctx context.Context, each func(*kgo.Record)) error {
	if err := f.find(ctx); err != nil {
		return err
	}
	got, err := f.ask(ctx)
	if err != nil {
		return err
	}
	f.bytes += int64(len(got.RecordBatches))
	if f.maxBytes > 0 && f.bytes > f.maxBytes {
		return errTooLarge
	}
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: f.at, IsolationLevel: f.isolation, Topic: f.topic, Partition: f.partition},
		got, kgo.DefaultDecompressor(), nil)
	if fp.Err != nil {
		return fp.Err
	}
	if f.count += len(fp.Records); f.maxBytes > 0 && f.count > maxRecords {
		return errTooLarge
	}
	for _, r := range fp.Records {
		if r.Offset >= f.at && r.Offset < f.to {
			each(r)
		}
	}
	switch {
	case next > f.at:
		f.at = next
	case got.HighWatermark < f.to: // a leader that hasn't caught up
		return kerr.NotLeaderForPartition
	default: // the cleaner took what was there
		f.at = f.to
	}
	return nil
}

// find learns the partition's leader, where it isn't known.
func (f *fetcher) find(ctx context.Context) error {
	if f.leader != nil {
		return nil
	}
	topics, err := f.adm.ListTopicsWithInternal(ctx, f.topic)
	if err != nil {
		return err
	}
	t := topics[f.topic]
	if t.Err != nil {
		return t.Err
	}
	p, ok := t.Partitions[f.partition]
	switch {
	case !ok:
		return kerr.UnknownTopicOrPartition
	case p.Err != nil:
		return p.Err
	}
	f.id, f.leader = t.ID, f.cl.Broker(int(p.Leader))
	return nil
}

func (f *fetcher) ask(ctx context.Context) (*kmsg.FetchResponseTopicPartition, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes, req.SessionEpoch = fetchBytes, 0, -1
	if f.isolation == kgo.ReadCommitted() {
		req.IsolationLevel = 1
	}
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = f.topic, f.id
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = f.partition, f.at, fetchBytes
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	kresp, err := f.leader.RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := kresp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, rawkafka.ErrThrottled
	}
	got := &resp.Topics[0].Partitions[0]
	return got, kerr.ErrorForCode(got.ErrorCode)
}
