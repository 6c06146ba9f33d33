package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/mirror/internal/instep"
)

// fillerRate is how many offsets of filler a broker takes in a second.
const fillerRate = 5_000_000

// NewPlan says what a mirror would do, and what forbids it. It changes nothing. Errors are a
// *[ConfigError], a *[ConnectError], an *[UnknownTopicError], or of the clusters.
func NewPlan(ctx context.Context, cfg Config) (*Plan, error) {
	return onFlow(ctx, cfg, (*flow).plan)
}

// plan makes a plan of the flow.
func (fl *flow) plan(ctx context.Context) (*Plan, error) {
	pl, err := fl.newPlanner(ctx)
	if err != nil {
		return nil, wrap(err)
	}
	p, err := pl.plan(ctx)
	return p, wrap(err)
}

// planner makes a plan.
type planner struct {
	*flow
	p       *Plan
	all     map[string]rawkafka.Topic // the source's
	there   map[string]rawkafka.Topic // of the target, by its names
	brokers int                       // of the target
	configs kadm.ResourceConfigs      // of one of them; none where they may not be read
}

// newPlanner asks both clusters, at once, for what doesn't depend on anything else. What is written
// elsewhere meanwhile, as a flow that is announced, isn't in it.
func (fl *flow) newPlanner(ctx context.Context) (*planner, error) {
	pl := &planner{flow: fl, p: &Plan{
		Flow: fl.cfg.Name, SourceCluster: fl.source.ID(), TargetCluster: fl.target.ID(), Topics: []TopicPlan{}, Warnings: []string{}, Conflicts: []Conflict{},
	}}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		pl.all, err = fl.list(gctx, madeWithin)
		return err
	})
	g.Go(func() error { return pl.lookAtStandby(gctx) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return pl, nil
}

// plan makes the plan. What the source's own ledger says is read here, so after the topics were
// listed: a copy is noted before it is made.
func (pl *planner) plan(ctx context.Context) (*Plan, error) {
	warning, err := pl.sel.missing(pl.cfg, pl.all)
	if err != nil {
		return nil, err
	}
	pl.warn(warning)
	if warning, err = pl.openBack(ctx); err != nil {
		return nil, err
	}
	pl.warn(warning)
	if pl.source.ID() == pl.target.ID() && pl.cfg.Prefix == "" {
		pl.refuse(clusterConflict("same_cluster", "source and target are the same cluster, %s, and no prefix tells the copies apart", pl.source.ID()))
	}
	for _, c := range pl.against() {
		pl.refuse(c)
	}
	selected := pl.sel.of(pl.all)
	copies, _ := copiesOf(pl.back, pl.target.ID(), pl.all)
	mine := maps.Clone(selected)
	maps.DeleteFunc(mine, func(name string, _ rawkafka.Topic) bool { return copies[name] != "" })
	pl.p.Conflicts = append(pl.p.Conflicts, pl.loops(mine)...)
	pl.p.LeftOut = pl.leaveOut(selected, copies)
	pl.p.Conflicts = append(pl.p.Conflicts, pl.meets(selected, pl.all)...)
	maps.Copy(pl.p.LeftOut, pl.sel.owned(pl.all))
	known, fresh, err := pl.topics(ctx, selected)
	if err != nil {
		return nil, err
	}
	var gone []pair
	var rights []string
	var lacking []Conflict
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		gone, err = pl.absentNow(gctx, pl.all)
		return err
	})
	source, target := pl.named()
	g.Go(func() (err error) {
		rights, lacking, err = pl.rights(gctx, source, target)
		return err
	})
	g.Go(func() error {
		if err := pl.known(gctx, known); err != nil {
			return err
		}
		return pl.fresh(gctx, fresh)
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, t := range gone {
		pl.p.Warnings = append(pl.p.Warnings, fmt.Sprintf("%s: %s: %s; its copy %s: %s", t.source, TopicDeleted, topicGone, t.target, pl.cfg.Policies.of(TopicDeleted)))
	}
	if pl.p.HoleMethod == string(exactcopy.Transactions) {
		pl.warn("the target denies ClusterAction and Alter on the cluster, or doesn't know WriteTxnMarkers: holes are made by empty transactions, slower and weaker")
	}
	if err := pl.holes(ctx); err != nil {
		return nil, err
	}
	if err := pl.inStep(ctx); err != nil {
		return nil, err
	}
	pl.p.Warnings, pl.p.Conflicts = append(pl.p.Warnings, rights...), append(pl.p.Conflicts, lacking...)
	pl.risks()
	return pl.p, nil
}

func (pl *planner) warn(text string) {
	if text != "" {
		pl.p.Warnings, pl.p.beside = append(pl.p.Warnings, text), append(pl.p.beside, text)
	}
}

func (pl *planner) refuse(c Conflict) { pl.p.Conflicts = append(pl.p.Conflicts, c) }

func topicConflict(topic, kind, format string, args ...any) Conflict {
	c := clusterConflict(kind, format, args...)
	c.Topic = topic
	return c
}

// topics plans each topic. It returns the partitions that the target has, and those that it hasn't.
func (pl *planner) topics(ctx context.Context, selected map[string]rawkafka.Topic) (known, fresh []copied, err error) {
	copies, err := pl.lookAtCopies(ctx, source.Query{Cluster: pl.target, Everywhere: true}, selected)
	if err != nil {
		return nil, nil, err
	}
	pl.there = copies.Topics
	others := pl.othersCopies()
	for _, name := range slices.Sorted(maps.Keys(selected)) {
		from, to := selected[name], pl.there[pl.cfg.Prefix+name]
		tp := TopicPlan{Source: name, Target: pl.cfg.Prefix + name, Partitions: []PartitionPlan{}}
		exists := to.Err == nil
		switch {
		case from.Err != nil:
			pl.refuse(topicConflict(name, kindOf(from.Err), "at the source: %v", from.Err))
			continue
		case !exists && !rawkafka.Unknown(to.Err):
			pl.refuse(topicConflict(name, kindOf(to.Err), "on the target: %v", to.Err))
			continue
		case exists && to.ID == from.ID && pl.source.ID() == pl.target.ID():
			continue // same_cluster says so
		case exists && len(to.Partitions) > len(from.Partitions):
			pl.refuse(topicConflict(name, "partitions", "the copy has %d partitions, the source's topic %d", len(to.Partitions), len(from.Partitions)))
		case exists && others[to.ID.String()] != "":
			pl.refuse(topicConflict(name, string(ForeignWriter), "the target's topic %s is a copy of cluster %s", to.Name, others[to.ID.String()]))
		case !exists && int(pl.factor(replication(from))) > pl.brokers:
			pl.refuse(topicConflict(name, "replication_factor", "%d replicas, but the target has %d brokers", pl.factor(replication(from)), pl.brokers))
		}
		tp.Create, tp.ReplicationFactor = !exists, pl.factor(replication(from))
		if exists {
			tp.AddPartitions, tp.ReplicationFactor = max(0, len(from.Partitions)-len(to.Partitions)), replication(to)
		}
		for i := range from.Partitions {
			p := copied{
				durable: -1,
				src:     rawkafka.Partition{Topic: name, TopicID: from.ID, Partition: int32(i)}, dst: rawkafka.Partition{Topic: tp.Target, TopicID: to.ID, Partition: int32(i)},
			}
			if exists && i < len(to.Partitions) {
				known = append(known, p)
			} else {
				fresh = append(fresh, p)
			}
		}
		pl.p.Topics = append(pl.p.Topics, tp)
	}
	return known, fresh, nil
}

func kindOf(err error) string {
	if rawkafka.Denies(err) {
		return string(Denied)
	}
	return "topic"
}

// othersCopies are the target's topics, by ID, that are copies of other clusters' by the ledger,
// with those clusters.
func (pl *planner) othersCopies() map[string]string {
	others := make(map[string]string)
	for key, value := range pl.ledger.Each(identityPrefix) {
		cluster, _, _ := strings.Cut(strings.TrimPrefix(key, identityPrefix), "/")
		var id identity
		if cluster != pl.source.ID() && ledger.Decode(key, value, &id) == nil && id.TargetID != "" {
			others[id.TargetID] = cluster
		}
	}
	return others
}

// known plans partitions that the target has.
func (pl *planner) known(ctx context.Context, ps []copied) error {
	if len(ps) == 0 {
		return nil
	}
	if err := pl.describe(ctx, ps); err != nil {
		return err
	}
	found, err := pl.facts(ctx, ps, pl.source, pl.target)
	if err != nil {
		return err
	}
	if err := pl.undecided(ctx, ps, found); err != nil {
		return err
	}
	for i, p := range ps {
		f := found[i]
		if f.err != nil {
			pl.unread(p, f.err)
			continue
		}
		v, err := pl.verdict(ctx, p, f)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			pl.unread(p, err)
			continue
		}
		pp := PartitionPlan{Partition: p.src.Partition, Method: "exact", Event: v.ev.Kind, Position: f.standbyEnd, LogStart: f.Start, LSO: f.Stable}
		if v.fill >= 0 {
			pp.Filler = max(0, v.fill-f.standbyEnd)
		}
		if v.ev.Kind != "" {
			pl.event(p, f, v)
			if policy := pl.cfg.Policies.of(v.ev.Kind); policy == Stop || policy == Retry {
				pp.Method = ""
			}
		}
		pl.add(p, pp)
	}
	return nil
}

// undecided names partitions of the target with transactions that are open there, as those of an
// application that wrote to it before it became the standby: what ends one appends a marker.
// Without one, the last stable offset has reached the high watermark that was told before.
func (pl *planner) undecided(ctx context.Context, ps []copied, found []*facts) error {
	dst := make([]rawkafka.Partition, len(ps))
	for i, p := range ps {
		dst[i] = p.dst
	}
	stables, err := pl.target.ListOffsets(ctx, dst, rawkafka.Latest, rawkafka.ReadCommitted, rawkafka.Consumer)
	if err != nil {
		return err
	}
	for i, p := range ps {
		if stable := stables[p.dst]; found[i].err == nil && stable.Err == nil && stable.Offset < found[i].watermark {
			pl.warn(fmt.Sprintf("%s on the target: a transaction is open, or not decided yet, since offset %d: its end appends a marker there, behind which nothing can be mirrored; end it first", p.dst, stable.Offset))
		}
	}
	return nil
}

// unread says that a partition couldn't be looked at: a conflict, where that doesn't pass by
// itself.
func (pl *planner) unread(p copied, err error) {
	if rawkafka.Denies(err) {
		pl.refuse(Conflict{Topic: p.src.Topic, Partition: p.src.Partition, Offset: -1, Kind: string(Denied), Detail: err.Error()})
		return
	}
	pl.warn(fmt.Sprintf("%s can't be looked at now: %v", p.src, err))
}

// event says what an event would be: a conflict where the copy never was ours, else a warning.
func (pl *planner) event(p copied, f *facts, v verdict) {
	if !f.note.known() && pl.cfg.Policies.of(v.ev.Kind) == Stop {
		pl.refuse(Conflict{Topic: p.src.Topic, Partition: p.src.Partition, Offset: v.ev.Offset, Kind: string(v.ev.Kind), Detail: v.ev.Detail})
		return
	}
	pl.p.Warnings = append(pl.p.Warnings, fmt.Sprintf("%s at %d: %s: %s", p.src, v.ev.Offset, v.ev.Kind, v.ev.Detail))
}

// describe takes in what the configs of both sides say.
func (pl *planner) describe(ctx context.Context, ps []copied) error {
	var topics []pair
	for _, p := range ps {
		if n := len(topics); n == 0 || topics[n-1].source != p.src.Topic {
			topics = append(topics, pair{source: p.src.Topic, target: p.dst.Topic, sourceID: p.src.TopicID, targetID: p.dst.TopicID})
		}
	}
	found, err := pl.traitsOf(ctx, topics, nil)
	for i := range ps {
		ps[i].traits = found[ps[i].src.Topic]
	}
	return err
}

// fresh plans partitions that the target hasn't.
func (pl *planner) fresh(ctx context.Context, ps []copied) error {
	src := make([]rawkafka.Partition, len(ps))
	for i, p := range ps {
		src[i] = p.src
	}
	if len(ps) == 0 {
		return nil
	}
	var starts, stables map[rawkafka.Partition]rawkafka.Offset
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		starts, err = pl.source.ListOffsets(gctx, src, rawkafka.Earliest, rawkafka.ReadUncommitted, rawkafka.Consumer)
		return err
	})
	g.Go(func() (err error) {
		stables, err = pl.source.ListOffsets(gctx, src, rawkafka.Latest, rawkafka.ReadCommitted, rawkafka.Consumer)
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	for _, p := range ps {
		start, stable := starts[p.src], stables[p.src]
		if err := cmpErr(start.Err, stable.Err); err != nil {
			pl.unread(p, fmt.Errorf("at the source: %w", err))
			continue
		}
		pl.add(p, PartitionPlan{Partition: p.src.Partition, Method: "exact", Filler: start.Offset, LogStart: start.Offset, LSO: stable.Offset})
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

func (pl *planner) add(p copied, pp PartitionPlan) {
	pp.Lag = max(0, pp.LSO-max(pp.Position, pp.LogStart))
	pl.p.Records += pp.Lag
	if took := time.Duration(float64(pp.Filler) / fillerRate * float64(time.Second)); took > pl.cfg.MaxHoleTime {
		pl.refuse(Conflict{
			Topic: p.src.Topic, Partition: p.src.Partition, Offset: pp.Position, Kind: "hole_time",
			Detail: fmt.Sprintf("filling %d offsets below the log start would take %s", pp.Filler, took.Round(time.Second)),
		})
	}
	i, _ := slices.BinarySearchFunc(pl.p.Topics, p.src.Topic, func(t TopicPlan, name string) int { return strings.Compare(t.Source, name) })
	pl.p.Topics[i].Partitions = append(pl.p.Topics[i].Partitions, pp)
}

// lookAtStandby asks how holes would be made, for the brokers, and for their settings.
func (pl *planner) lookAtStandby(ctx context.Context) error {
	c, err := exactcopy.New(ctx, exactcopy.Config{Cluster: pl.target, TransactionalID: copyID(pl.source.ID())})
	if err != nil {
		return err
	}
	defer c.Close()
	meta, err := pl.target.Admin().BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("target: brokers: %w", err)
	}
	pl.brokers = len(meta.Brokers)
	if pl.configs, err = pl.target.Admin().DescribeBrokerConfigs(ctx, meta.Controller); err != nil {
		pl.configs = nil
	}
	m, err := c.Method(ctx)
	if err != nil {
		return fmt.Errorf("target: hole method: %w", err)
	}
	rtt, err := c.RoundTrip(ctx)
	if err != nil {
		return fmt.Errorf("target: round trip: %w", err)
	}
	pl.p.HoleMethod, pl.p.RoundTrip = string(m), millis.Duration(max(rtt, time.Microsecond))
	return nil
}

// inStep plans what becomes of configs, once nothing is held any more.
func (pl *planner) inStep(ctx context.Context) error {
	var v instep.View
	at := make(map[string]*TopicPlan, len(pl.p.Topics))
	for i := range pl.p.Topics {
		tp := &pl.p.Topics[i]
		at[tp.Target] = tp
		vt := instep.Topic{Source: tp.Source, SourceID: pl.all[tp.Source].ID, Target: tp.Target, ReplicationFactor: tp.ReplicationFactor, Ready: true}
		if to := pl.there[tp.Target]; to.Err == nil {
			vt.TargetID = to.ID
		}
		v.Topics = append(v.Topics, vt)
	}
	plan, err := instep.NewConfigs(instep.Sides{Source: pl.source, Target: pl.target, Ledger: pl.ledger, Flow: pl.cfg.Name, Prefix: pl.cfg.Prefix}).Plan(ctx, v)
	if err != nil && ctx.Err() == nil {
		pl.warn(fmt.Sprintf("what becomes of configs can't be told: %v", err))
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range plan.Changes {
		if tp := at[c.Topic]; tp != nil {
			tp.Configs, tp.Replaced = c.Set, c.Replaced
		}
	}
	for _, ev := range plan.Events {
		pl.warn(strings.TrimPrefix(fmt.Sprintf("%s: %s: %s", ev.Topic, ev.Kind, ev.Detail), ": "))
	}
	return nil
}

// risks warns of min.insync.replicas and unclean elections.
func (pl *planner) risks() {
	if len(pl.configs) == 0 || pl.configs[0].Err != nil {
		pl.warn("the target's broker configs may not be read: whether min.insync.replicas is 1 isn't known")
		return
	}
	replicated := slices.ContainsFunc(pl.p.Topics, func(t TopicPlan) bool { return t.ReplicationFactor > 1 })
	for _, c := range pl.configs[0].Configs {
		switch {
		case c.Key == "min.insync.replicas" && c.MaybeValue() == "1" && replicated:
			pl.warn("the target's default of min.insync.replicas is 1: a copy may lose what was acknowledged when a broker dies; it is copied again then")
		case c.Key == "unclean.leader.election.enable" && c.MaybeValue() == "true":
			pl.warn("the target allows unclean elections: a copy may lose what was acknowledged; it is copied again then")
		}
	}
}
