package rawkafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ReadConfig is how Read reads.
type ReadConfig struct {
	// Isolation is [ReadCommitted] or [ReadUncommitted], the default.
	Isolation int8
	// MaxBytes bounds the answer, in bytes; a larger batch comes whole. Default 1 MiB.
	MaxBytes int32
	// Log is what the topic's configs say of it. Default: they are asked for when an answer is
	// empty.
	Log *Log
	// Tries is how often a request is sent that fails for a reason that may pass. Default 8.
	Tries int
}

// Read reads raw batches from a partition's leader, from the one that holds an offset on, following
// the leader for a while. An answer without data below the end (the high watermark, or the last
// stable offset) isn't believed but by a [Log] that compacts, and after several of them over
// seconds: then void says that no batch lies in [offset, end), and the answer's two ends are none
// but what all of those answers had. Where nothing proves it within Config.RetryFor, an
// *[EmptyError] says so. At the end, the answer has no batches, and void is false.
func (c *Cluster) Read(ctx context.Context, p Partition, offset int64, cfg ReadConfig) (a kmsg.FetchResponseTopicPartition, void bool, err error) {
	var empty Empties
	for {
		if a, err = c.ReadNow(ctx, p, offset, cfg); err != nil {
			return a, false, err
		}
		end := a.HighWatermark
		if cfg.Isolation == ReadCommitted {
			end = a.LastStableOffset
		}
		if len(a.RecordBatches) > 0 || end <= offset {
			return a, false, nil
		}
		empty.Add(end, time.Now())
		if cfg.Log == nil {
			logs, err := c.Logs(ctx, p.Topic)
			if err != nil {
				return a, false, err
			}
			log := logs[p.Topic]
			cfg.Log = &log
		}
		switch now := time.Now(); {
		case empty.Proves(*cfg.Log, now):
			a.HighWatermark, a.LastStableOffset = min(a.HighWatermark, empty.To), min(a.LastStableOffset, empty.To)
			return a, true, nil
		case empty.For(now) > c.cfg.RetryFor:
			return a, false, empty.Error(p, offset, *cfg.Log, now)
		}
		if err := Sleep(ctx, VoidPause); err != nil {
			return a, false, err
		}
	}
}

// ReadNow is Read that takes the first answer. One without data says nothing.
func (c *Cluster) ReadNow(ctx context.Context, p Partition, offset int64, cfg ReadConfig) (kmsg.FetchResponseTopicPartition, error) {
	if cfg.Tries <= 0 {
		cfg.Tries = 8
	}
	var a kmsg.FetchResponseTopicPartition
	err := c.Tries(ctx, "fetch", cfg.Tries, func() (err error) {
		if a, err = c.readOnce(ctx, p, offset, cfg); Retriable(err) {
			c.Forget(p)
		}
		return err
	})
	return a, err
}

func (c *Cluster) readOnce(ctx context.Context, p Partition, offset int64, cfg ReadConfig) (a kmsg.FetchResponseTopicPartition, err error) {
	leader, _, err := c.Leader(ctx, p)
	if err != nil {
		return a, err
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 1 << 20
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes, req.SessionEpoch, req.IsolationLevel = 4*cfg.MaxBytes, 1, -1, cfg.Isolation
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = p.Topic, p.TopicID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p.Partition, offset, cfg.MaxBytes
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	kresp, err := c.Request(ctx, leader, req)
	if err != nil {
		return a, err
	}
	resp, ok := kresp.(*kmsg.FetchResponse)
	if !ok {
		return a, errors.New("rawkafka: not an answer to a fetch")
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return a, err
	}
	for _, t := range resp.Topics {
		for _, got := range t.Partitions {
			return got, kerr.ErrorForCode(got.ErrorCode)
		}
	}
	return a, ErrThrottled
}
