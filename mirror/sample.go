package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
	"github.com/kafkadr/kafkadr/storage/batch"
)

const (
	// sampled is how many partitions, those with the most to copy, are looked into for holes.
	sampled = 32
	// holeFloor is what a hole and the data behind it take at least.
	holeFloor = 2 * time.Millisecond
)

// holes estimates how many holes there are to make, from the first megabyte of the partitions that
// have the most to copy.
func (pl *planner) holes(ctx context.Context) error {
	type place struct {
		topic *TopicPlan
		p     *PartitionPlan
	}
	var ps []place
	for i := range pl.p.Topics {
		for j := range pl.p.Topics[i].Partitions {
			if p := &pl.p.Topics[i].Partitions[j]; p.Lag > 0 && p.Method != "" {
				ps = append(ps, place{&pl.p.Topics[i], p})
			}
		}
	}
	slices.SortFunc(ps, func(a, b place) int { return cmp.Compare(b.p.Lag, a.p.Lag) })
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(comparers)
	for _, at := range ps[:min(len(ps), sampled)] {
		g.Go(func() error {
			src := rawkafka.Partition{Topic: at.topic.Source, TopicID: pl.all[at.topic.Source].ID, Partition: at.p.Partition}
			runs, span, err := pl.sample(gctx, src, max(at.p.Position, at.p.LogStart))
			if err == nil && span > 0 {
				at.p.HoleRuns = int64(float64(runs) * float64(at.p.Lag) / float64(span))
			}
			return context.Cause(gctx)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, at := range ps {
		took := time.Duration(at.p.HoleRuns) * max(holeFloor, 2*time.Duration(pl.p.RoundTrip))
		if took <= pl.cfg.MaxHoleTime {
			continue
		}
		cf := Conflict{
			Topic: at.topic.Source, Partition: at.p.Partition, Offset: at.p.Position, Kind: "hole_time",
			Detail: fmt.Sprintf("about %d holes would take %s; a cold restore from an archive doesn't make them one by one", at.p.HoleRuns, took.Round(time.Second)),
		}
		if at.topic.Create {
			pl.refuse(cf)
		} else { // what has been begun goes on
			pl.warn(cf.String())
		}
	}
	return nil
}

// sample counts the holes between the records of one fetch.
func (pl *planner) sample(ctx context.Context, src rawkafka.Partition, from int64) (runs, span int64, err error) {
	a, err := pl.near.ReadNow(ctx, src, from, rawkafka.ReadConfig{Isolation: rawkafka.ReadCommitted})
	if err != nil {
		return 0, 0, err
	}
	raw, err := batch.ConvertLegacy(a.RecordBatches)
	if err != nil {
		return 0, 0, err
	}
	var tracker batch.AbortTracker
	for _, t := range a.AbortedTransactions {
		tracker.Add(batch.AbortedTxn{ProducerID: t.ProducerID, FirstOffset: t.FirstOffset})
	}
	whole, end := 0, from
	for b, err := range batch.All(raw) {
		if err != nil {
			break
		}
		whole += b.Len()
		end = b.EndOffset()
	}
	ops := copyops.New(standby.NewBatches(raw[:whole], &tracker), copyops.Filter{}, from, end)
	defer ops.Close()
	for {
		o, err := ops.Next()
		if errors.Is(err, io.EOF) {
			return runs, end - from, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if o.Hole() {
			runs++
		}
	}
}
