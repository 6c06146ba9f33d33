package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// LastLag is what a running mirror noted on the target of what that lacked: what is known when the
// source is away. It is noted every 5 s, not by a [Config.Once].
type LastLag struct {
	RPO
	// At is when it was noted. What the source has got since, and in the time of SourceAgeMillis
	// before, isn't in it.
	At time.Time `json:"at"`
	// LeftOut counts topics that match and aren't mirrored.
	LeftOut int `json:"left_out"`
	// Partitions are the 1 000 that lack the most, the most first; those that lack nothing aren't
	// among them.
	Partitions []LastLagPartition `json:"partitions,omitempty"`
}

// LastLagPartition is what a partition lacked.
type LastLagPartition struct {
	Topic     string `json:"topic"` // at the source
	Partition int32  `json:"partition"`
	Records   int64  `json:"records"`
	// AgeMillis is the age of the oldest; 0 where it isn't known.
	AgeMillis int64 `json:"age_ms"`
}

const (
	lagPrefix = "lag/"
	// lagPartitions bounds a note: names are up to 249 bytes long, and an entry of the ledger 1
	// MiB.
	lagPartitions = 1000
)

func (fl *flow) lagKey() string { return lagPrefix + fl.source.ID() + "/" + fl.cfg.Name }

// noteLag notes the lag again and again. What can't be written now is written the next time.
func (e *engine) noteLag(ctx context.Context) error {
	if e.cfg.Once {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	for {
		if err := rawkafka.Sleep(ctx, e.cfg.tuning.lag); err != nil {
			return err
		}
		err := e.ledger.Put(ctx, map[string]any{e.lagKey(): lastLag(e.status(), time.Now())})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			e.hooks.retry("note the lag", err)
		}
	}
}

func lastLag(s Status, now time.Time) LastLag {
	l := LastLag{RPO: s.RPO, At: now.UTC().Truncate(time.Millisecond), LeftOut: len(s.LeftOut)}
	for _, t := range s.Topics {
		for _, p := range t.Detail {
			if n := p.Missing(); n > 0 {
				l.Partitions = append(l.Partitions, LastLagPartition{Topic: t.Source, Partition: p.Partition, Records: n, AgeMillis: p.LagMillis})
			}
		}
	}
	slices.SortStableFunc(l.Partitions, func(a, b LastLagPartition) int { return cmp.Compare(b.Records, a.Records) })
	l.Partitions = l.Partitions[:min(len(l.Partitions), lagPartitions)]
	return l
}

// lastLagOf is what was noted of a flow; nil: nothing.
func lastLagOf(l *ledger.Ledger, source, name string) (*LastLag, error) {
	last := new(LastLag)
	found, err := l.Get(lagPrefix+source+"/"+name, last)
	if err != nil {
		return nil, fmt.Errorf("mirror: target: %w", err)
	}
	if !found {
		return nil, nil //nolint:nilnil // nothing was noted
	}
	return last, nil
}
