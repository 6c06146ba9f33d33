package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// ErrNoFlow says that no mirror of that name was ever started from the source to the target.
var ErrNoFlow = errors.New("no flow of that name is announced on the target")

// Observe says where a mirror stands by looking at both clusters, whether it runs or not: it needs the clusters and [Config.Name] alone, and takes prefix and topics from
// what the mirror has announced on the target. It changes nothing. Rates, counts, groups and heartbeats are a running mirror's own, and stay empty. Partitions that would stop, or have,
// are Stopped. Errors are a *[ConfigError], a *[ConnectError], [ErrNoFlow], or of the clusters.
func Observe(ctx context.Context, cfg Config) (*Status, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	e, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer e.close()
	var f flow
	found, err := e.ledger.Get(e.flowKey(), &f)
	switch {
	case err != nil:
		return nil, fmt.Errorf("mirror: target: %w", err)
	case !found:
		return nil, fmt.Errorf("mirror: %w: %q from cluster %s to cluster %s", ErrNoFlow, cfg.Name, e.source.ID(), e.target.ID())
	}
	e.cfg.Prefix, e.cfg.Topics, e.cfg.Exclude, e.started = f.Prefix, f.Topics, f.Exclude, f.At
	if e.sel, err = newSelection(e.cfg); err != nil {
		return nil, fmt.Errorf("mirror: announced by the flow: %w", err)
	}
	if err := e.observe(ctx); err != nil {
		return nil, wrap(err)
	}
	s := e.status()
	return &s, nil
}

func (e *engine) observe(ctx context.Context) error {
	all, err := e.list(ctx, 0)
	if err != nil {
		return err
	}
	if _, err := e.openBack(ctx); err != nil {
		return err
	}
	selected := e.sel.of(all)
	copies, _ := copiesOf(e.back, e.target.ID(), all)
	e.leftOut = e.leaveOut(selected, copies)
	gone, err := e.absentNow(ctx, all)
	if err != nil {
		return err
	}
	for _, t := range gone {
		e.hooks.event(Event{Time: time.Now(), Kind: TopicDeleted, Topic: t.source, Target: t.target, Partition: -1, Offset: -1, Other: -1, Detail: topicGone})
	}
	standby, err := e.lookAtCopies(ctx, e.target, selected, true)
	if err != nil {
		return err
	}
	var ps []*part
	for _, name := range slices.Sorted(maps.Keys(selected)) {
		from, to := selected[name], standby.Topics[e.cfg.Prefix+name]
		t := e.topicOf(from)
		e.adopt(t, to, len(from.Partitions))
		for _, p := range t.parts {
			if int(p.src.Partition) < len(to.Partitions) {
				ps = append(ps, p)
			}
		}
	}
	if len(ps) == 0 {
		return nil
	}
	return e.observeParts(ctx, ps)
}

func (e *engine) observeParts(ctx context.Context, ps []*part) error {
	found, err := e.facts(ctx, ps, e.source, e.target)
	if err != nil {
		return err
	}
	dst := make([]rawkafka.Partition, len(ps))
	for i, p := range ps {
		dst[i] = p.dst
	}
	durable, err := e.target.ListOffsets(ctx, dst, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(comparers)
	for i, p := range ps {
		f := found[i]
		if f.err != nil {
			continue
		}
		p.position, p.durable = f.standbyEnd, min(max(durable[p.dst].Offset, 0), f.standbyEnd)
		p.hw, p.lso, p.logStart, p.standbyStart, p.heard, p.state = f.high, f.stable, f.start, f.standbyStart, f.at, Copying
		g.Go(func() error {
			v, err := e.verdict(gctx, p, f)
			if err == nil && v.ev.Kind != "" && v.ev.Kind != StandbyBack {
				ev := v.ev
				ev.Time, ev.Topic, ev.Target, ev.Partition, ev.Policy = time.Now(), p.source, p.target, p.src.Partition, e.cfg.Policies.of(ev.Kind)
				p.state, p.last = Stopped, &ev
			}
			if p.lag() > 0 {
				p.behind = e.timeAt(gctx, p)
			}
			return nil
		})
	}
	return g.Wait()
}

// timeAt is the timestamp of the first record at the source that isn't mirrored; zero where it can't be read.
func (e *engine) timeAt(ctx context.Context, p *part) time.Time {
	a, err := e.source.ReadNow(ctx, p.src, max(p.position, p.logStart), rawkafka.ReadConfig{Isolation: rawkafka.ReadCommitted})
	if err != nil {
		return time.Time{}
	}
	for b, err := range segment.Batches(a.RecordBatches) {
		if err != nil || b.Control() {
			continue
		}
		return time.UnixMilli(b.FirstTimestamp())
	}
	return time.Time{}
}

// Flows are the names of the mirrors that were started from the source to the target.
func Flows(ctx context.Context, cfg Config) ([]string, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	e, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer e.close()
	prefix := flowPrefix + e.source.ID() + "/"
	names := []string{}
	for key := range e.ledger.Each(prefix) {
		names = append(names, strings.TrimPrefix(key, prefix))
	}
	return names, nil
}
