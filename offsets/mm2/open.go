package mm2

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Open reads what MirrorMaker has left on the target, through a client of the target that stays the
// caller's; its own consuming, if any, isn't touched. The source isn't needed. The error is a
// [*ConfigError], a [*NotFoundError], or a [*TopicError] where a topic can't be read.
func Open(ctx context.Context, cl *kgo.Client, cfg Config) (*Translator, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	o := &opening{
		Translator: &Translator{cfg: cfg, target: newTarget(cl, cfg),
			parts: map[place]*partition{}, groups: map[groupPlace]Checkpoint{}, heartbeats: map[string]int64{}},
		points: map[place][]anchor{},
	}
	if err := o.readAll(ctx); err != nil {
		return nil, err
	}
	if err := o.look(ctx); err != nil {
		return nil, err
	}
	return o.Translator, nil
}

// opening is a Translator that is being made.
type opening struct {
	*Translator
	points map[place][]anchor
}

// source is a topic to read, and what is done with its records.
type source struct {
	topic     string
	isolation kgo.IsolationLevel
	take      func(*kgo.Record)
}

// readAll reads MirrorMaker's topics. What it wrote in a transaction that was aborted is true of
// checkpoints and offset syncs all the same, of Connect's offsets it isn't.
func (o *opening) readAll(ctx context.Context) error {
	p, alias := o.cfg.Policy, o.cfg.SourceAlias
	topics := []source{
		{p.Checkpoints(alias), kgo.ReadUncommitted(), o.checkpoint},
		{p.OffsetSyncs(alias), kgo.ReadUncommitted(), o.sync},
		{o.cfg.ConnectOffsets, kgo.ReadCommitted(), o.connectOffset},
		{p.Heartbeats(), kgo.ReadUncommitted(), o.heartbeat},
	}
	var names []string
	for _, s := range topics {
		names = append(names, s.topic)
	}
	meta, err := retried(ctx, o.target, "metadata", func() (kadm.TopicDetails, error) { return o.target.adm.ListTopicsWithInternal(ctx, names...) })
	if err != nil {
		return &TopicError{Topic: names[0], Err: err}
	}
	for _, s := range topics {
		t := meta[s.topic]
		switch {
		case errors.Is(t.Err, kerr.UnknownTopicOrPartition):
			o.missing = append(o.missing, s.topic)
			continue
		case t.Err != nil:
			return &TopicError{Topic: s.topic, Err: t.Err}
		}
		if err := o.readTopic(ctx, s); err != nil {
			return err
		}
	}
	if missing := names[:3]; !slices.ContainsFunc(missing, func(n string) bool { return !slices.Contains(o.missing, n) }) {
		return &NotFoundError{SourceAlias: alias, Topics: missing}
	}
	return nil
}

func (o *opening) readTopic(ctx context.Context, s source) error {
	starts, err := retried(ctx, o.target, "list offsets", func() (kadm.ListedOffsets, error) { return o.target.adm.ListStartOffsets(ctx, s.topic) })
	if err != nil {
		return &TopicError{Topic: s.topic, Err: err}
	}
	ends, err := retried(ctx, o.target, "list offsets", func() (kadm.ListedOffsets, error) {
		if s.isolation == kgo.ReadCommitted() {
			return o.target.adm.ListCommittedOffsets(ctx, s.topic)
		}
		return o.target.adm.ListEndOffsets(ctx, s.topic)
	})
	if err != nil {
		return &TopicError{Topic: s.topic, Err: err}
	}
	for part, end := range ends[s.topic] {
		start := starts[s.topic][part]
		if err := cmpErr(start.Err, end.Err); err != nil {
			return &TopicError{Topic: s.topic, Partition: part, Err: err}
		}
		err := o.target.read(ctx, span{topic: s.topic, partition: part, from: start.Offset, to: end.Offset, isolation: s.isolation}, s.take)
		if err != nil {
			return &TopicError{Topic: s.topic, Partition: part, Err: err}
		}
	}
	return nil
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *opening) checkpoint(r *kgo.Record) {
	c, err := DecodeCheckpoint(r.Key, r.Value)
	at := place{c.Topic, c.Partition}
	switch {
	case errors.Is(err, ErrTombstone):
		delete(o.groups, groupPlace{c.Group, at})
		return
	case err == nil && (c.Upstream < 0 || c.Downstream < 0):
		err = &FormatError{What: "checkpoint value", Reason: "a negative offset"}
		fallthrough
	case err != nil:
		o.skip(r, err)
		return
	}
	if r.Timestamp.After(o.lastCheckpoint) {
		o.lastCheckpoint = r.Timestamp
	}
	o.at(c.Topic, c.Partition)
	o.groups[groupPlace{c.Group, at}] = c
	o.points[at] = append(o.points[at], anchor{up: c.Upstream, down: c.Downstream})
}

func (o *opening) sync(r *kgo.Record) {
	s, err := DecodeOffsetSync(r.Key, r.Value)
	if err == nil && (s.Upstream < 0 || s.Downstream < 0) {
		err = &FormatError{What: "offset sync value", Reason: "a negative offset"}
	}
	switch {
	case errors.Is(err, ErrTombstone):
	case err != nil:
		o.skip(r, err)
	default:
		o.at(o.cfg.Policy.Remote(o.cfg.SourceAlias, s.Topic), s.Partition).chain.add(s.Upstream, s.Downstream)
	}
}

func (o *opening) connectOffset(r *kgo.Record) {
	c, err := DecodeConnectOffset(r.Key, r.Value)
	switch {
	case errors.Is(err, ErrOtherConnector):
	case err != nil:
		o.skip(r, err)
	case c.Connector == o.cfg.Connector && c.Cluster == o.cfg.SourceAlias:
		o.at(o.cfg.Policy.Remote(c.Cluster, c.Topic), c.Partition).mirrored = c.Offset
	}
}

func (o *opening) heartbeat(r *kgo.Record) {
	h, err := DecodeHeartbeat(r.Key, r.Value)
	switch {
	case errors.Is(err, ErrTombstone):
	case err != nil:
		o.skip(r, err)
	case h.Source == o.cfg.SourceAlias:
		o.heartbeats[h.Target] = max(o.heartbeats[h.Target], h.Timestamp)
	}
}

// look compares what was read with the target's logs as they are now.
func (o *opening) look(ctx context.Context) error {
	names := map[string]bool{}
	for at := range o.parts {
		names[at.topic] = true
	}
	if len(names) == 0 {
		return nil
	}
	logs, err := o.target.logs(ctx, slices.Sorted(maps.Keys(names)))
	if err != nil {
		return err
	}
	for at, p := range o.parts {
		l := logs[at]
		p.found, p.start, p.end, p.stable, p.unfit = l.found, l.start, l.end, l.stable, l.unfit
		p.finish(o.points[at], o.cfg.Drained)
	}
	return nil
}

// finish judges the partition's facts by its log.
func (p *partition) finish(at []anchor, drained bool) {
	for _, a := range p.chain.anchors {
		p.replaced = p.replaced || a.down >= p.end
	}
	for _, a := range at {
		p.replaced = p.replaced || a.down > p.end
	}
	p.points = newPoints(at)
	p.from, p.lost = p.chain.suspect(p.start, p.stable)
	last := anchor{up: -1, down: -1}
	if n := len(p.chain.anchors); n > 0 {
		last = p.chain.anchors[n-1]
	}
	if drained && p.mirrored >= last.up && p.mirrored >= 0 && last.down < p.end && !p.replaced {
		p.chain.anchors, p.drained = append(p.chain.anchors, anchor{up: p.mirrored + 1, down: p.end}), true
	}
}

// retried calls f again while its error may pass.
func retried[T any](ctx context.Context, t *target, op string, f func() (T, error)) (T, error) {
	since := time.Now()
	for n := 0; ; n++ {
		v, err := f()
		if err == nil || ctx.Err() != nil || !rawkafka.Retriable(err) && !kerr.IsRetriable(err) || time.Since(since) > t.retryFor {
			return v, err
		}
		t.onRetry(op, err)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return v, err
		}
	}
}
