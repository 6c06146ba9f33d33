package restore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// job is what a plan and its run share.
type job struct {
	cfg       Config
	how       method
	info      storage.Info
	selection *selection
	topics    []*topicJob
	lost      []unread // of what the manifest says of topics
	named     bool     // the topics were named, each, and all of them live
	acls      []storage.ACL
	ledger    *ledger.Ledger // of the target, for a translated restore
}

// planner makes a plan.
type planner struct {
	*job
	plan    *Plan
	cluster *rawkafka.Cluster
	brokers int // that are alive
}

// NewPlan reads snapshot and target and changes nothing. Conflicts are in the plan, not an error.
// It checks that the objects that the selected partitions need exist, have their sizes and say what
// the manifest does; other topics' aren't looked at. With Until, Edit or SkipDamaged it reads the
// data as well, to know what would be left.
func NewPlan(ctx context.Context, cfg Config) (*Plan, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	j, err := newJob(ctx, cfg.withDefaults())
	if err != nil {
		return nil, err
	}
	cluster, err := j.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer cluster.Close()
	p := &planner{job: j, cluster: cluster, plan: &Plan{
		Snapshot: j.info.ID, SourceCluster: j.info.ClusterID, TargetCluster: cluster.ID(),
		Offsets: cfg.Offsets.String(), Warnings: []string{}, Conflicts: []Conflict{}, job: j,
	}}
	ctx, done := cluster.Bounded(ctx)
	if err := done(p.make(ctx)); err != nil {
		return nil, wrap(err)
	}
	return p.plan, nil
}

// newJob reads the snapshot's topics and partitions.
func newJob(ctx context.Context, cfg Config) (*job, error) {
	j := &job{cfg: cfg, how: methodOf(cfg.Offsets), info: cfg.Snapshot.Info()}
	var err error
	if j.selection, err = newSelection(&cfg); err != nil {
		return nil, err
	}
	if j.topics, j.lost, err = j.selection.choose(ctx, &cfg); err != nil {
		return nil, err
	}
	j.named = len(cfg.Topics) > 0 && len(j.selection.Names()) == len(cfg.Topics) &&
		!slices.ContainsFunc(j.topics, func(t *topicJob) bool { return !t.source.Deleted.IsZero() })
	for _, t := range j.topics {
		for state, err := range cfg.Snapshot.Partitions(ctx, t.source.ID) {
			if f, ok := unreadOf(err); ok {
				t.lost = append(t.lost, f)
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("restore: %s: %w", t.source.Name, err)
			}
			t.partitions = append(t.partitions, &partitionJob{
				topic: t, state: state, end: state.EndOffset,
				filter: copyops.Filter{Topic: t.source.Name, Partition: state.Partition.Partition, Until: cfg.Until, Edit: cfg.Edit},
			})
		}
	}
	return j, nil
}

// connect connects to the target.
func (j *job) connect(ctx context.Context) (*rawkafka.Cluster, error) {
	c, err := rawkafka.Connect(ctx, j.cfg.Target, rawkafka.Config{
		ClientID: j.cfg.ClientID, Logger: j.cfg.Logger, OnRetry: j.cfg.Hooks.OnRetry,
	})
	if err != nil {
		return nil, fmt.Errorf("restore: target: %w", err)
	}
	return c, nil
}

// newCopier starts a copier on the target, that asks mayHole before each hole.
func (j *job) newCopier(ctx context.Context, c *rawkafka.Cluster, mayHole func(context.Context, rawkafka.Partition) error) (*exactcopy.Copier, error) {
	cp, err := exactcopy.New(ctx, exactcopy.Config{
		Cluster:         c,
		TransactionalID: "kafkadr-copy-" + j.info.ClusterID,
		Limiter:         limiter(j.cfg.MaxBytesPerSecond),
		OnRetry:         j.cfg.Hooks.OnRetry,
		Quiet:           j.cfg.quiet,
		MayHole:         mayHole,
	})
	if err != nil {
		return nil, fmt.Errorf("restore: target: %w", err)
	}
	return cp, nil
}

// make fills the plan in, from what is cheap to what reads data.
func (p *planner) make(ctx context.Context) error {
	p.refuse(collisions(p.topics)...)
	p.checkSnapshot()
	for _, step := range p.how.steps(p) {
		if err := step(ctx); err != nil {
			return err
		}
	}
	p.describe(time.Now())
	return nil
}

func (p *planner) refuse(cs ...Conflict) { p.plan.Conflicts = append(p.plan.Conflicts, cs...) }

func (p *planner) warn(format string, args ...any) {
	p.plan.Warnings = append(p.plan.Warnings, fmt.Sprintf(format, args...))
}

// checkSnapshot looks for reasons to refuse the snapshot itself.
func (p *planner) checkSnapshot() {
	if !p.info.Complete && !p.cfg.AllowIncomplete {
		p.refuse(clusterConflict("incomplete", "snapshot %s is incomplete", p.info.ID))
	}
	for _, t := range p.topics {
		if int32(len(t.partitions)) != t.source.Partitions && len(t.lost) == 0 {
			p.incomplete(topicConflict(t.name, "incomplete", "the snapshot has %d of %d partitions", len(t.partitions), t.source.Partitions))
		}
		for _, pj := range t.partitions {
			if pj.state.Fault != "" {
				p.incomplete(pj.conflict(pj.end, "incomplete", "couldn't be read: %s", pj.state.Fault))
			}
			if pj.state.History > 0 {
				p.warn("%s/%d: the source was truncated; history %d, the newest, is restored", t.source.Name, pj.state.Partition.Partition, pj.state.History)
			}
		}
	}
}

func (p *planner) incomplete(c Conflict) {
	if p.cfg.AllowIncomplete {
		p.warn("%s", c)
		return
	}
	p.refuse(c)
}

// each calls f for every partition, a few at a time.
func (j *job) each(ctx context.Context, f func(context.Context, *partitionJob) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(planWorkers)
	for _, t := range j.topics {
		for _, pj := range t.partitions {
			g.Go(func() error { return f(ctx, pj) })
		}
	}
	return g.Wait()
}

// planWorkers is how many partitions are looked at at once: each can hold two frames.
const planWorkers = 8

// sums adds up what is archived, and what of it the filter leaves.
func (p *planner) sums(ctx context.Context) error {
	err := p.each(ctx, func(ctx context.Context, j *partitionJob) error {
		err := j.findDamage(ctx, p.cfg.Snapshot, p.cfg.SkipDamaged)
		if err != nil {
			return j.wrap(j.start(), err)
		}
		if j.total, err = j.sum(ctx, p.cfg.Snapshot, j.start()); err != nil {
			return j.wrap(j.start(), err)
		}
		if j.filter.Filtered() {
			if j.total, j.end, err = j.scan(ctx, p.cfg.Snapshot, j.start()); err != nil {
				return err
			}
		}
		j.todo = j.total
		return nil
	})
	p.tellDamage()
	return err
}

// remaining adds up what is left to do where the target holds something.
func (p *planner) remaining(ctx context.Context) error {
	return p.each(ctx, func(ctx context.Context, j *partitionJob) error {
		var err error
		switch {
		case j.position <= j.start():
			return nil
		case j.position >= j.end:
			j.todo = totals{}
		case j.filter.Filtered():
			j.todo, _, err = j.scan(ctx, p.cfg.Snapshot, j.position)
		default:
			j.todo, err = j.sum(ctx, p.cfg.Snapshot, j.position)
		}
		return err
	})
}

// partitionsOf are all partitions of topics that exist.
func (j *job) existing() []*partitionJob {
	var all []*partitionJob
	for _, t := range j.topics {
		if t.exists {
			all = append(all, t.partitions...)
		}
	}
	return slices.Clip(all)
}
