package mm2

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const fetchBytes = 4 << 20

// errTooLarge ends a reading that would take more bytes than allowed.
var errTooLarge = errors.New("more bytes than may be read")

// newTarget is a target over a client.
func newTarget(cl *kgo.Client, cfg Config) *target {
	c := rawkafka.Over(cl, rawkafka.Config{RetryFor: cfg.RetryFor, OnRetry: cfg.OnRetry})
	return &target{c: c, adm: c.Admin(), retryFor: cfg.RetryFor, onRetry: cfg.OnRetry}
}

// target reads records of the target cluster through a client whose own consuming, if any, it
// leaves alone.
type target struct {
	c        *rawkafka.Cluster
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

// read calls each with the span's records, in order. Records that the cleaner took, and control
// records, aren't there. Past maxBytes the error is errTooLarge.
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
		f.found = false
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
	id    kadm.TopicID
	found bool // id is known
	at    int64
	bytes int64
	count int
}

// fetch reads what one response has, and moves on behind it.
func (f *fetcher) fetch(ctx context.Context, each func(*kgo.Record)) error {
	if err := f.find(ctx); err != nil {
		return err
	}
	cfg := rawkafka.ReadConfig{MaxBytes: fetchBytes, Tries: 1}
	if f.isolation == kgo.ReadCommitted() {
		cfg.Isolation = rawkafka.ReadCommitted
	}
	got, void, err := f.c.Read(ctx, rawkafka.Partition{Topic: f.topic, TopicID: f.id, Partition: f.partition}, f.at, cfg)
	if err != nil {
		return err
	}
	f.bytes += int64(len(got.RecordBatches))
	if f.maxBytes > 0 && f.bytes > f.maxBytes {
		return errTooLarge
	}
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: f.at, IsolationLevel: f.isolation, Topic: f.topic, Partition: f.partition},
		&got, kgo.DefaultDecompressor(), nil)
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
	case void: // the cleaner took what was there
		f.at = got.HighWatermark
		if f.isolation == kgo.ReadCommitted() {
			f.at = got.LastStableOffset
		}
	default: // a leader that hasn't caught up
		return kerr.NotLeaderForPartition
	}
	return nil
}

// find learns the topic's ID, where it isn't known.
func (f *fetcher) find(ctx context.Context) error {
	if f.found {
		return nil
	}
	topics, err := f.adm.ListTopicsWithInternal(ctx, f.topic)
	if err != nil {
		return err
	}
	t := topics[f.topic]
	f.id, f.found = t.ID, t.Err == nil
	return t.Err
}
