package mirror

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
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
func (fl *flow) facts(ctx context.Context, copies []copied, source, target *rawkafka.Cluster) ([]*facts, error) {
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
		err = errors.Join(err, unread)
		found[i] = &facts{at: at, note: note, sourceID: c.src.TopicID.String(), durable: -1, currentEpoch: -1, epochEnd: rawkafka.EpochEnd{LeaderEpoch: -1, EndOffset: -1}, err: err}
		if note.known() {
			found[i].durable = max(note.Position, c.durable)
			if b := c.batch; b.end > note.End && b.end <= c.durable { // newer than what was noted
				found[i].note.Base, found[i].note.End, found[i].note.Epoch, found[i].note.CRC = b.base, b.end, b.epoch, b.crc
			}
			if found[i].note.Epoch >= 0 {
				epochs[c.src] = found[i].note.Epoch
			}
		}
	}
	// The note is read before the standby's end, and that before the source's: each may only have grown since.
	standby := &asker{c: target, ps: dst, found: found}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return standby.ask(gctx,
			question{rawkafka.Earliest, rawkafka.ReadUncommitted, rawkafka.Consumer, func(f *facts, o rawkafka.Offset) { f.standbyStart = o.Offset }})
	})
	g.Go(func() error { return standby.ends(gctx) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var ends map[rawkafka.Partition]rawkafka.EpochEnd
	g, gctx = errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		ends, err = source.EpochEnds(gctx, epochs)
		return err
	})
	g.Go(func() error {
		return (&asker{c: source, ps: src, found: found}).ask(gctx,
			question{rawkafka.Earliest, rawkafka.ReadUncommitted, rawkafka.Consumer, func(f *facts, o rawkafka.Offset) { f.start = o.Offset }},
			question{rawkafka.Latest, rawkafka.ReadCommitted, rawkafka.Consumer, func(f *facts, o rawkafka.Offset) { f.stable = o.Offset }},
			question{rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer, func(f *facts, o rawkafka.Offset) { f.high = o.Offset }},
			question{rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug, func(f *facts, o rawkafka.Offset) { f.end, f.currentEpoch = o.Offset, o.CurrentEpoch }},
		)
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, p := range src {
		if end, ok := ends[p]; ok {
			found[i].epochEnd, found[i].err = end, errors.Join(found[i].err, end.Err)
		}
	}
	return found, nil
}

// asker asks one side for offsets.
type asker struct {
	c     *rawkafka.Cluster
	ps    []rawkafka.Partition
	mu    sync.Mutex
	found []*facts // as ps
}

type question struct {
	at        int64
	isolation int8
	replica   int32
	take      func(*facts, rawkafka.Offset)
}

// ends asks for the standby's true ends and high watermarks, of one leader each.
func (a *asker) ends(ctx context.Context) error {
	got, err := a.c.Ends(ctx, a.ps)
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, p := range a.ps {
		e := got[p]
		a.found[i].standbyEnd, a.found[i].watermark, a.found[i].err = e.End, e.Watermark, errors.Join(a.found[i].err, e.Err)
	}
	return err
}

// ask asks all questions at once. What is the matter with a partition is in its facts; the error is the context's.
func (a *asker) ask(ctx context.Context, questions ...question) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, q := range questions {
		g.Go(func() error {
			got, err := a.c.ListOffsets(gctx, a.ps, q.at, q.isolation, q.replica)
			a.mu.Lock()
			defer a.mu.Unlock()
			for i, p := range a.ps {
				if o := got[p]; o.Err != nil {
					a.found[i].err = errors.Join(a.found[i].err, o.Err)
				} else {
					q.take(a.found[i], o)
				}
			}
			return err
		})
	}
	return g.Wait()
}

// verdict judges, and compares contents where it must be.
func (fl *flow) verdict(ctx context.Context, c copied, f *facts) (verdict, error) {
	v := f.judge()
	if v.ev.Kind == StandbyAhead || v.ev.Kind == Truncated && f.standbyEnd > f.end {
		err := fl.beyond(ctx, c, f, &v.ev)
		return v, err
	}
	if v.ev.Kind == Overtaken && !f.note.known() {
		return v, fl.claimless(ctx, c, f, &v.ev)
	}
	if v.wait {
		return v, fmt.Errorf("%w: %d, %d", errAhead, f.standbyEnd, f.stable)
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
