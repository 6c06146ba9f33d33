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
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// ErrNoFlow says that no mirror of that name was ever started from the source to the target.
var ErrNoFlow = errors.New("no flow of that name is announced on the target")

// Observe says where a mirror stands by looking at both clusters, whether it runs or not: it needs
// the clusters and [Config.Name] alone, and takes prefix and topics from what the mirror has
// announced on the target. It changes nothing. Rates, counts, groups and heartbeats are a running
// mirror's own, and stay empty. Partitions that would stop, or have, are Stopped. Errors are a
// *[ConfigError], a *[ConnectError], [ErrNoFlow], or of the clusters.
func Observe(ctx context.Context, cfg Config) (*Status, error) {
	return onFlow(ctx, cfg, (*flow).observe)
}

// observe is where a mirror of the flow stands.
func (fl *flow) observe(ctx context.Context) (*Status, error) {
	a, err := fl.announced()
	if err != nil {
		return nil, err
	}
	fl.cfg.Prefix, fl.cfg.Topics, fl.cfg.Exclude, fl.started = a.Prefix, a.Topics, a.Exclude, a.At
	if fl.sel, err = newSelection(fl.cfg); err != nil {
		return nil, fmt.Errorf("mirror: announced by the flow: %w", err)
	}
	topics, leftOut, err := fl.observeTopics(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	now := time.Now()
	s := fl.status(now)
	s.LeftOut = leftOut
	s.topics(slices.Values(topics), now)
	s.unsure(fl.wrong())
	return &s, nil
}

// observeTopics looks at all topics of the flow, and at their partitions.
func (fl *flow) observeTopics(ctx context.Context) (topics []*topic, leftOut map[string]string, err error) {
	all, err := fl.list(ctx, 0)
	if err != nil {
		return nil, nil, err
	}
	if _, err := fl.openBack(ctx); err != nil {
		return nil, nil, err
	}
	selected := fl.sel.of(all)
	copies, _ := copiesOf(fl.back, fl.target.ID(), all)
	leftOut = fl.leaveOut(selected, copies)
	gone, err := fl.absentNow(ctx, all)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range gone {
		fl.hooks.event(Event{Time: time.Now(), Kind: TopicDeleted, Topic: t.source, Target: t.target, Partition: -1, Offset: -1, Other: -1, Detail: topicGone})
	}
	standby, err := fl.lookAtCopies(ctx, source.Query{Cluster: fl.target, Everywhere: true}, selected)
	if err != nil {
		return nil, nil, err
	}
	var there []*part
	for _, name := range slices.Sorted(maps.Keys(selected)) {
		from, to := selected[name], standby.Topics[fl.cfg.Prefix+name]
		t := &topic{pair: pair{source: name, target: fl.cfg.Prefix + name, sourceID: from.ID, targetID: to.ID}}
		for i := range from.Partitions {
			p := newPart(t, int32(i), nil)
			if t.parts = append(t.parts, p); i < len(to.Partitions) {
				there = append(there, p)
			}
		}
		topics = append(topics, t)
	}
	return topics, leftOut, fl.observeParts(ctx, there)
}

// observeParts looks at partitions that both sides have.
func (fl *flow) observeParts(ctx context.Context, ps []*part) error {
	if len(ps) == 0 {
		return nil
	}
	copies, dst := make([]copied, len(ps)), make([]rawkafka.Partition, len(ps))
	for i, p := range ps {
		copies[i], dst[i] = p.copied(), p.dst
	}
	found, err := fl.facts(ctx, copies, fl.source, fl.target)
	if err != nil {
		return err
	}
	durable, err := fl.target.ListOffsets(ctx, dst, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer)
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
		p.copy.Begin(f.standbyEnd, min(max(durable[p.dst].Offset, 0), f.standbyEnd))
		p.hw, p.lso, p.logStart, p.standbyStart, p.heard = f.High, f.Stable, f.Start, f.standbyStart, f.at
		p.Turn(source.Right)
		g.Go(func() error {
			v, err := fl.verdict(gctx, copies[i], f)
			if err == nil && v.ev.Kind != "" && v.ev.Kind != StandbyBack {
				ev := v.ev
				ev.Time, ev.Topic, ev.Target, ev.Partition, ev.Policy = time.Now(), p.source, p.target, p.src.Partition, fl.cfg.Policies.of(ev.Kind)
				p.last = &ev
				p.Turn(source.Stop)
			}
			if p.lag() > 0 {
				p.behind = fl.timeAt(gctx, p)
			}
			return nil
		})
	}
	return g.Wait()
}

// timeAt is the timestamp of the first record at the source that isn't mirrored; zero where it
// can't be read.
func (fl *flow) timeAt(ctx context.Context, p *part) time.Time {
	a, err := fl.source.ReadNow(ctx, p.src, max(p.copy.Position(), p.logStart), rawkafka.ReadConfig{Isolation: rawkafka.ReadCommitted})
	if err != nil {
		return time.Time{}
	}
	for b, err := range batch.All(a.RecordBatches) {
		if err != nil || b.Control() {
			continue
		}
		return time.UnixMilli(b.FirstTimestamp())
	}
	return time.Time{}
}

// Flows are the names of the mirrors that were started from the source to the target.
func Flows(ctx context.Context, cfg Config) ([]string, error) {
	return onFlow(ctx, cfg, (*flow).names)
}

// names are the announced flows between the two clusters.
func (fl *flow) names(context.Context) ([]string, error) {
	prefix := flowPrefix + fl.source.ID() + "/"
	names := []string{}
	for key := range fl.ledger.Each(prefix) {
		names = append(names, strings.TrimPrefix(key, prefix))
	}
	return names, nil
}
