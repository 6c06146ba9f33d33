package exactcopy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// ReadPlaced yields the batches of a job in a target partition, in order, from a checkpoint up to
// the offset end (or the high watermark, where that is below): the map of the job can be derived
// from the target alone. An error comes last: of the cluster, or [ErrDoubled]. The right to Read
// the topic is enough.
func ReadPlaced(ctx context.Context, cl *rawkafka.Cluster, name rawkafka.Partition, job string, from Checkpoint, end int64) iter.Seq2[Placed, error] {
	return func(yield func(Placed, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		r := placedReader{cl: cl, name: name, prod: newJob(job, name), at: from}
		stopped := false
		read := func() error {
			got, err := cl.ListOffsets(ctx, []rawkafka.Partition{name}, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer)
			if err == nil {
				err = got[name].Err
			}
			if err != nil {
				return err
			}
			return r.to(ctx, min(end, got[name].Offset), func(p Placed) {
				if !stopped && !yield(p, nil) {
					stopped = true
					cancel()
				}
			})
		}
		for try := 1; ; try++ {
			err := read()
			switch {
			case stopped || err == nil:
				return
			case try >= placedTries || !rawkafka.Retriable(err) || rawkafka.Sleep(ctx, rawkafka.Backoff(try)) != nil:
				yield(Placed{}, at(name, r.at.Offset, "read", err))
				return
			}
		}
	}
}

const (
	// placedTries is how often a read without progress is tried; ListOffsets has its own patience.
	placedTries = 8
	placedBytes = 4 << 20
)

// placedReader reads a job's batches off a log. It goes on where it is after an error.
type placedReader struct {
	cl   *rawkafka.Cluster
	name rawkafka.Partition
	prod producer
	at   Checkpoint
}

// to reads up to end, which must be on all replicas.
func (r *placedReader) to(ctx context.Context, end int64, placed func(Placed)) error {
	for void := 0; r.at.Offset < end; {
		a, err := fetch(ctx, r.cl, r.name, r.at.Offset, placedBytes)
		if errors.Is(err, kerr.OffsetOutOfRange) {
			err = r.toStart(ctx)
		}
		if err != nil {
			r.cl.Forget(r.name)
			return err
		}
		before := r.at.Offset
		if err := r.take(a.RecordBatches, end, placed); err != nil {
			return err
		}
		if r.at.Offset > before {
			void = 0
			continue
		}
		// The cleaner may have left nothing up to there, or a quota holds the answer back.
		if void++; void > placedTries {
			r.at.Offset = end
			return nil
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(void)); err != nil {
			return err
		}
	}
	return nil
}

// toStart goes to the log start offset, where what lay below it was deleted.
func (r *placedReader) toStart(ctx context.Context) error {
	got, err := r.cl.ListOffsets(ctx, []rawkafka.Partition{r.name}, rawkafka.Earliest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err == nil {
		err = got[r.name].Err
	}
	if err == nil && got[r.name].Offset <= r.at.Offset {
		err = errBehind
	}
	if err == nil {
		r.at.Offset = got[r.name].Offset
	}
	return err
}

var errBehind = fmt.Errorf("the leader's log ends below what was placed: %w", kerr.UnknownServerError)

// take takes in the whole batches at the front of raw, from headers alone. Those of old formats are
// others'.
func (r *placedReader) take(raw []byte, end int64, placed func(Placed)) error {
	for len(raw) >= 17 && r.at.Offset < end {
		n := int64(int32(binary.BigEndian.Uint32(raw[8:]))) + 12
		if n < 17 || n > int64(len(raw)) {
			break
		}
		if raw[16] < 2 {
			r.at.Offset = max(r.at.Offset, int64(binary.BigEndian.Uint64(raw))+1)
		} else if b, err := batch.Parse(raw[:n]); err != nil {
			return fmt.Errorf("at %d: %w", r.at.Offset, err)
		} else if err := r.batch(b, placed); err != nil {
			return err
		}
		raw = raw[n:]
	}
	return nil
}

func (r *placedReader) batch(b batch.Batch, placed func(Placed)) error {
	if b.EndOffset() <= r.at.Offset {
		return nil // fetched for an offset behind it
	}
	if b.ProducerID() != r.prod.pid() || b.Control() {
		r.at.Offset = b.EndOffset()
		return nil
	}
	skipped, ok := distance(r.at.Ordinal, b.BaseSequence())
	if !ok { // a batch that the log starts inside is whole all the same
		return fmt.Errorf("%w: offset %d has sequence %d, behind record %d", ErrDoubled, b.BaseOffset(), b.BaseSequence(), r.at.Ordinal)
	}
	p := Placed{First: r.at.Ordinal + skipped, Base: b.BaseOffset(), Records: b.EndOffset() - b.BaseOffset()}
	r.at = Checkpoint{b.EndOffset(), p.First + p.Records}
	placed(p)
	return nil
}

// fetch reads once from a leader, at read_uncommitted, up to the high watermark.
func fetch(ctx context.Context, cl *rawkafka.Cluster, name rawkafka.Partition, offset int64, bytes int32) (kmsg.FetchResponseTopicPartition, error) {
	var none kmsg.FetchResponseTopicPartition
	broker, _, err := cl.Leader(ctx, name)
	if err != nil {
		return none, err
	}
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MinBytes, req.MaxBytes = -1, 1, bytes
	req.ReplicaState.ID = -1
	req.SessionEpoch = -1
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic, ft.TopicID = name.Topic, name.TopicID
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.Partition, fp.FetchOffset, fp.PartitionMaxBytes = name.Partition, offset, bytes
	ft.Partitions = append(ft.Partitions, fp)
	req.Topics = append(req.Topics, ft)
	resp, err := cl.Request(ctx, broker, req)
	if err != nil {
		return none, err
	}
	r := resp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
		return none, err
	}
	if len(r.Topics) != 1 || len(r.Topics[0].Partitions) != 1 {
		return none, rawkafka.ErrThrottled
	}
	a := r.Topics[0].Partitions[0]
	return a, kerr.ErrorForCode(a.ErrorCode)
}
