package testkafka

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

// ReadSpec says what to read.
type ReadSpec struct {
	// Opts are the client's.
	Opts []kgo.Opt
	// Topics are names. Default: all but internal ones.
	Topics []string
	// Cuts are where to end. A partition without one ends at its last stable offset, or with
	// Uncommitted at its high watermark.
	Cuts Cuts
	// Uncommitted reads at isolation level read_uncommitted. Default: read_committed.
	Uncommitted bool
}

// Capture reads topics at read_committed up to the cuts; nil topics are all, nil cuts the last
// stable offsets. Keep what it returns when the cluster is about to be lost.
func Capture(ctx context.Context, opts []kgo.Opt, topics []string, cuts Cuts) (*Content, error) {
	return ReadSpec{Opts: opts, Topics: topics, Cuts: cuts}.Read(ctx)
}

// Read reads. It knows nothing of the code under test: plain fetch requests, decoded by kgo.
func (s ReadSpec) Read(ctx context.Context) (*Content, error) {
	cl, err := kgo.NewClient(s.Opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	r := &reader{ReadSpec: s, cl: cl, adm: kadm.NewClient(cl), content: &Content{Topics: map[string]map[int32]*Partition{}}}
	if err := r.plan(ctx); err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for t, ps := range r.content.Topics {
		for p, part := range ps {
			g.Go(func() error {
				if err := r.partition(ctx, t, p, part); err != nil {
					return fmt.Errorf("read %s/%d: %w", t, p, err)
				}
				return nil
			})
		}
	}
	return r.content, g.Wait()
}

type reader struct {
	ReadSpec
	cl      *kgo.Client
	adm     *kadm.Client
	content *Content
	meta    struct {
		sync.Mutex
		kadm.TopicDetails
	}
}

// plan finds the topics and where to begin and end.
func (r *reader) plan(ctx context.Context) error {
	tds, err := r.adm.ListTopics(ctx, r.Topics...)
	if err != nil {
		return err
	}
	r.meta.TopicDetails = tds
	names := tds.Names()
	if len(names) == 0 {
		return nil
	}
	starts, err := r.adm.ListStartOffsets(ctx, names...)
	if err != nil {
		return err
	}
	list := r.adm.ListCommittedOffsets
	if r.Uncommitted {
		list = r.adm.ListEndOffsets
	}
	ends, err := list(ctx, names...)
	if err := errors.Join(err, tds.Error(), starts.Error(), ends.Error()); err != nil {
		return err
	}
	starts.Each(func(o kadm.ListedOffset) {
		if r.content.Topics[o.Topic] == nil {
			r.content.Topics[o.Topic] = map[int32]*Partition{}
		}
		end, _ := ends.Lookup(o.Topic, o.Partition)
		part := &Partition{Start: o.Offset, End: end.Offset}
		if cut, ok := r.Cuts[o.Topic][o.Partition]; ok {
			part.End = cut
		}
		r.content.Topics[o.Topic][o.Partition] = part
	})
	return nil
}

func (r *reader) partition(ctx context.Context, topic string, partition int32, part *Partition) error {
	at := part.Start
	for at < part.End {
		fp, next, err := r.fetch(ctx, topic, partition, at)
		if errors.Is(err, kerr.NotLeaderForPartition) || errors.Is(err, kerr.LeaderNotAvailable) || errors.Is(err, kerr.FencedLeaderEpoch) || errors.Is(err, kerr.UnknownLeaderEpoch) {
			if err := r.refresh(ctx, topic); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		for _, rec := range fp.Records {
			if rec.Offset < part.End {
				part.Records = append(part.Records, recordOf(rec))
			}
		}
		at = max(at, next)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads once from an offset, and says where to go on.
func (r *reader) fetch(ctx context.Context, topic string, partition int32, at int64) (kgo.FetchPartition, int64, error) {
	r.meta.Lock()
	td := r.meta.TopicDetails[topic]
	r.meta.Unlock()
	req := r.request(td, partition, at)
	resp, err := r.cl.Broker(int(td.Partitions[partition].Leader)).RetriableRequest(ctx, req)
	if err != nil {
		return kgo.FetchPartition{}, 0, err
	}
	fr := resp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(fr.ErrorCode); err != nil {
		return kgo.FetchPartition{}, 0, err
	}
	if len(fr.Topics) != 1 || len(fr.Topics[0].Partitions) != 1 {
		return kgo.FetchPartition{}, at, nil
	}
	iso := kgo.ReadCommitted()
	if r.Uncommitted {
		iso = kgo.ReadUncommitted()
	}
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: at, IsolationLevel: iso, Topic: topic, Partition: partition},
		&fr.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
	return fp, next, fp.Err
}

func (r *reader) request(td kadm.TopicDetail, partition int32, at int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 500, 1, 16<<20
	if !r.Uncommitted {
		req.IsolationLevel = 1
	}
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = td.Topic, td.ID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes, rp.CurrentLeaderEpoch = partition, at, 8<<20, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func (r *reader) refresh(ctx context.Context, topic string) error {
	tds, err := r.adm.ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	r.meta.Lock()
	defer r.meta.Unlock()
	r.meta.TopicDetails[topic] = tds[topic]
	return nil
}
