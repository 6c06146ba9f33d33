package mirror

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
)

// copied is a partition of the source with its copy, and what is known of the two.
type copied struct {
	src, dst rawkafka.Partition
	traits
	durable int64  // how far the copy is known to have been durable; -1: not known
	batch   tail   // the last batch that this process has appended; zero: none
	shifted *Event // the copier found the copy's end elsewhere than it was to be
}

// traits are what the configs of both sides say of a topic and its copy.
type traits struct {
	log, copyLog rawkafka.Log // of the source's topic, and of the copy
	compact      bool         // the copy refuses DeleteRecords
	compacted    bool         // either side's policy has compaction
	unfit        bool         // the copy's configs aren't what a copy needs
	maxBatch     int          // the longest batch that the target takes; 0: not known
}

// traitsOf reads them from the configs.
func traitsOf(from, to map[string]string) traits {
	t := traits{compact: to[cfgCleanup] == "compact", unfit: unfit(from, to), compacted: strings.Contains(from[cfgCleanup]+to[cfgCleanup], "compact")}
	t.maxBatch, _ = strconv.Atoi(to[cfgMaxMessage])
	t.log = rawkafka.LogOf(func(key string) string { return from[key] })
	t.copyLog = rawkafka.LogOf(func(key string) string { return to[key] })
	return t
}

// facts asks both clusters, many partitions a request. The error is the context's.
func (fl *flow) facts(ctx context.Context, copies []copied, from, standby *rawkafka.Cluster) ([]*facts, error) {
	src, dst := make([]rawkafka.Partition, len(copies)), make([]rawkafka.Partition, len(copies))
	found := make([]*facts, len(copies))
	epochs := make(map[rawkafka.Partition]int32)
	at := time.Now()
	unread := fl.ledger.Refresh(ctx) // another mirror of the flow may have noted more
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for i, c := range copies {
		src[i], dst[i] = c.src, c.dst
		note, err := fl.noted(c.dst)
		f := &facts{at: at, note: note, sourceID: c.src.TopicID.String(), durable: -1, err: errors.Join(err, unread)}
		if note.known() {
			f.durable = max(note.Position, c.durable)
			if b := c.batch; b.end > note.End && b.end <= c.durable { // newer than what was noted
				f.note.Base, f.note.End, f.note.Epoch, f.note.CRC = b.base, b.end, b.epoch, b.crc
			}
			if f.note.Epoch >= 0 {
				epochs[c.src] = f.note.Epoch
			}
		}
		found[i] = f
	}
	// The note is read before the standby's end, and that before the source's: each may only have
	// grown since.
	if err := standbyFacts(ctx, standby, dst, found); err != nil {
		return nil, err
	}
	logs, err := source.Logs(ctx, from, src, epochs, true)
	if err != nil {
		return nil, err
	}
	for i, f := range found {
		f.Log = *logs[src[i]]
		f.err = errors.Join(f.err, f.Err)
	}
	return found, nil
}

// standbyFacts asks the standby for log starts, true ends and high watermarks, the last two of one
// leader each.
func standbyFacts(ctx context.Context, c *rawkafka.Cluster, ps []rawkafka.Partition, found []*facts) error {
	var starts map[rawkafka.Partition]rawkafka.Offset
	var ends map[rawkafka.Partition]rawkafka.Ends
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		starts, err = c.ListOffsets(gctx, ps, rawkafka.Earliest, rawkafka.ReadUncommitted, rawkafka.Consumer)
		return err
	})
	g.Go(func() (err error) {
		ends, err = c.Ends(gctx, ps)
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	for i, p := range ps {
		f, start, end := found[i], starts[p], ends[p]
		f.standbyStart, f.standbyEnd, f.watermark = start.Offset, end.End, end.Watermark
		f.err = errors.Join(f.err, start.Err, end.Err)
	}
	return nil
}

// verdict judges, and compares contents where it must be.
func (fl *flow) verdict(ctx context.Context, c copied, f *facts) (verdict, error) {
	v := f.judge()
	if v.ev.Kind == StandbyAhead || v.ev.Kind == Truncated && f.standbyEnd > f.End {
		err := fl.beyond(ctx, c, f, &v.ev)
		return v, err
	}
	if v.ev.Kind == Overtaken && !f.note.known() {
		return v, fl.claimless(ctx, c, f, &v.ev)
	}
	if v.wait {
		return v, fmt.Errorf("%w: %d, %d", errAhead, f.standbyEnd, f.Stable)
	}
	if !v.compare {
		return v, nil
	}
	if c.shifted != nil {
		ev, err := fl.whose(ctx, c, f, *c.shifted)
		if err != nil || ev.Kind != "" {
			v.ev = ev
			return v, err
		}
	}
	ev, err := fl.compare(ctx, c, f)
	if err == nil && ev.Kind != "" {
		v.ev = ev
	}
	return v, err
}
