package source

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Log is what a leader says of a partition's log. Err says that something of it isn't known.
type Log struct {
	// Start is the log start offset, End the true end.
	Start, End int64
	// Stable is the last stable offset, High the high watermark, where they were asked for.
	Stable, High int64
	// CurrentEpoch is the leader's epoch; -1: it doesn't say.
	CurrentEpoch int32
	// EpochEnd is where the epoch ends that was asked for; its EndOffset is -1 where nothing is
	// known.
	EpochEnd rawkafka.EpochEnd
	Err      error
}

// Logs asks the leaders of partitions about their logs, all at once, and where the epochs end that
// are given. whole asks for stable offsets and high watermarks, too. The error is the context's.
func Logs(ctx context.Context, c *rawkafka.Cluster, ps []rawkafka.Partition, epochs map[rawkafka.Partition]int32, whole bool) (map[rawkafka.Partition]*Log, error) {
	logs := make(map[rawkafka.Partition]*Log, len(ps))
	for _, p := range ps {
		logs[p] = &Log{CurrentEpoch: -1, EpochEnd: rawkafka.EpochEnd{LeaderEpoch: -1, EndOffset: -1}}
	}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	ask := func(at int64, isolation int8, replica int32, take func(*Log, rawkafka.Offset)) {
		g.Go(func() error {
			got, err := c.ListOffsets(gctx, ps, at, isolation, replica)
			mu.Lock()
			defer mu.Unlock()
			for p, l := range logs {
				if o := got[p]; o.Err != nil {
					l.Err = errors.Join(l.Err, o.Err)
				} else {
					take(l, o)
				}
			}
			return err
		})
	}
	ask(rawkafka.Earliest, rawkafka.ReadUncommitted, rawkafka.Consumer, func(l *Log, o rawkafka.Offset) { l.Start = o.Offset })
	ask(rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug, func(l *Log, o rawkafka.Offset) { l.End, l.CurrentEpoch = o.Offset, o.CurrentEpoch })
	if whole {
		ask(rawkafka.Latest, rawkafka.ReadCommitted, rawkafka.Consumer, func(l *Log, o rawkafka.Offset) { l.Stable = o.Offset })
		ask(rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer, func(l *Log, o rawkafka.Offset) { l.High = o.Offset })
	}
	g.Go(func() error {
		ends, err := c.EpochEnds(gctx, epochs)
		mu.Lock()
		defer mu.Unlock()
		for p, end := range ends {
			if l := logs[p]; l != nil {
				l.EpochEnd, l.Err = end, errors.Join(l.Err, end.Err)
			}
		}
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return logs, nil
}

// Last is the last batch that was copied of a log: where it ends, and its leader epoch; -1: that
// isn't known.
type Last struct {
	End   int64
	Epoch int32
}

// Parted says by the leader epochs where a log parts from the one that was copied, and why; an
// empty why: it doesn't.
func (l *Log) Parted(last Last) (at int64, why string) {
	end := l.EpochEnd
	switch {
	case last.Epoch < 0 || last.End <= l.Start:
		return 0, ""
	case l.CurrentEpoch >= 0 && l.CurrentEpoch < last.Epoch:
		return l.Start, fmt.Sprintf("its leader epoch is %d, copied was %d", l.CurrentEpoch, last.Epoch)
	case end.EndOffset < 0:
		return 0, ""
	case end.EndOffset < last.End:
		return end.EndOffset, fmt.Sprintf("its leader epoch %d ends at %d, and %d was copied", end.LeaderEpoch, end.EndOffset, last.End)
	case end.LeaderEpoch >= 0 && end.LeaderEpoch < last.Epoch:
		return l.Start, fmt.Sprintf("it has leader epoch %d up to %d, copied was %d", end.LeaderEpoch, end.EndOffset, last.Epoch)
	}
	return 0, ""
}
