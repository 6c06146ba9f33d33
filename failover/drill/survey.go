package drill

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// survey reads the topics of a cluster to their ends of now, in the order of each partition's log,
// and notes what is stored.
func (a *apps) survey(ctx context.Context, opts []kgo.Opt) error {
	from, ends, err := a.span(ctx, opts)
	if err != nil || len(ends) == 0 {
		return err
	}
	cl, err := kgo.NewClient(append(opts[:len(opts):len(opts)], kgo.ConsumePartitions(from), kgo.KeepControlRecords())...)
	if err != nil {
		return err
	}
	defer cl.Close()
	for len(ends) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			p := place{r.Topic, r.Partition}
			if end, ok := ends[p]; !ok || r.Offset >= end {
				return
			}
			a.store(r)
			if r.Offset == ends[p]-1 {
				delete(ends, p)
			}
		})
	}
	return nil
}

func (a *apps) store(r *kgo.Record) {
	if r.Attrs.IsControl() {
		return
	}
	switch k, sequence, ours, err := a.stamp.read(r); {
	case err != nil:
		a.ledger.Foreign(k, err.Error())
	case ours:
		a.ledger.Note(Event{Kind: Stored, Key: k, Sequence: sequence, Partition: r.Partition})
	}
}

// span is where each partition that isn't empty begins, and its end.
func (a *apps) span(ctx context.Context, opts []kgo.Opt) (map[string]map[int32]kgo.Offset, map[place]int64, error) {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, nil, err
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	starts, err := adm.ListStartOffsets(ctx, a.load.Topics...)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("start offsets: %w", err)
	}
	ends, err := adm.ListEndOffsets(ctx, a.load.Topics...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("end offsets: %w", err)
	}
	from, until := map[string]map[int32]kgo.Offset{}, map[place]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		start, _ := starts.Lookup(o.Topic, o.Partition)
		if o.Offset <= start.Offset {
			return
		}
		if from[o.Topic] == nil {
			from[o.Topic] = map[int32]kgo.Offset{}
		}
		from[o.Topic][o.Partition] = kgo.NewOffset().At(start.Offset)
		until[place{o.Topic, o.Partition}] = o.Offset
	})
	return from, until, nil
}
