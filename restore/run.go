package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/copylock"
	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// runner carries a plan out.
type runner struct {
	*job
	plan     *Plan
	cluster  *rawkafka.Cluster
	copier   *exactcopy.Copier
	progress *progress
	locks    *copylock.Locks
	warnings []string
}

// Run carries the plan out, or goes on with it after a crash: make a new plan then, and run it. A
// plan with conflicts is a *[RefusedError] before the first effect. Errors of partitions are
// joined, a *[PartitionError] each; the others are complete then, and groups and ACLs untouched.
// Where another cluster has answered at the target's address, and the right one hasn't for 30 s,
// the error is a *[WrongClusterError]. When Run returns without an error, everything is durable on
// the target.
func (p *Plan) Run(ctx context.Context) (*Result, error) {
	if p.job == nil {
		return nil, errors.New("restore: a Plan is made by NewPlan")
	}
	if len(p.Conflicts) > 0 {
		return nil, &RefusedError{Job: "restore", Conflicts: p.Conflicts}
	}
	j := *p.job
	r := &runner{job: &j, plan: p, progress: newProgress(&j)}
	onRetry := j.cfg.Hooks.OnRetry
	j.cfg.Hooks.OnRetry = func(op string, err error) {
		r.progress.retries.Add(1)
		onRetry(op, err)
	}
	if j.cfg.VerifyFirst {
		if err := j.verify(ctx); err != nil {
			return nil, err
		}
	}
	return r.run(ctx)
}

func (r *runner) retry(op string, err error) { r.cfg.Hooks.OnRetry(op, err) }

func (r *runner) run(ctx context.Context) (*Result, error) {
	var err error
	if r.cluster, err = r.connect(ctx); err != nil {
		return nil, err
	}
	defer r.cluster.Close()
	if r.cluster.ID() != r.plan.TargetCluster {
		return nil, refuse(clusterConflict("target", "the plan is for cluster %s, this is %s", r.plan.TargetCluster, r.cluster.ID()))
	}
	ctx, done := r.cluster.Bounded(ctx)
	res, err := r.carryOut(ctx)
	return res, wrap(done(err))
}

// wrap names the package where the error doesn't.
func wrap(err error) error {
	if err == nil || strings.HasPrefix(err.Error(), "restore: ") {
		return err
	}
	return fmt.Errorf("restore: target: %w", err)
}

// carryOut is all of a run that changes the target.
func (r *runner) carryOut(ctx context.Context) (*Result, error) {
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	if err := r.claim(ctx); err != nil {
		return nil, err
	}
	lctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.locks.Run(lctx) })
	defer wg.Wait()
	defer stop()
	return r.claimed(ctx)
}

// claimed is what is done once the topics with holes are ours.
func (r *runner) claimed(ctx context.Context) (*Result, error) {
	var err error
	if r.copier, err = r.newCopier(ctx, r.cluster, r.mayHole); err != nil {
		return nil, err
	}
	defer r.copier.Close()
	if err := r.partitions(ctx); err != nil {
		return nil, err
	}
	if err := r.how.end(ctx, r); err != nil {
		return nil, err
	}
	return r.finish(ctx)
}

// prepare creates topics, and holds the policies of those that exist and aren't complete.
func (r *runner) prepare(ctx context.Context) error {
	var missing []*topicJob
	hold := map[string]map[string]*string{}
	for _, t := range r.topics {
		if !t.exists {
			missing = append(missing, t)
		} else if configs := r.how.hold(t); configs != nil {
			hold[t.name] = configs
		}
	}
	answers, err := createTopics(ctx, r.cluster, missing, false)
	if err != nil {
		return fmt.Errorf("restore: create topics: %w", err)
	}
	var raced []*topicJob
	for _, t := range missing {
		switch err := answers[t.name]; {
		case err == nil:
			t.created = true
		case errors.Is(err, kerr.TopicAlreadyExists):
			raced = append(raced, t)
		default:
			return fmt.Errorf("restore: %s: create topic: %w", t.name, err)
		}
	}
	if err := r.learnIDs(ctx); err != nil {
		return err
	}
	return r.how.begin(ctx, r, raced, hold)
}

// complete says whether nothing is left to do.
func (t *topicJob) complete() bool {
	for _, j := range t.partitions {
		if j.position < j.end || j.position < j.start() {
			return false
		}
	}
	return true
}

// learnIDs waits until the target tells the IDs of all topics.
func (r *runner) learnIDs(ctx context.Context) error {
	names := make([]string, 0, len(r.topics))
	for _, t := range r.topics {
		names = append(names, t.name)
	}
	if len(names) == 0 {
		return nil
	}
	deadline := time.Now().Add(adminTimeout)
	for n := 0; ; n++ {
		meta, err := r.cluster.Topics(ctx, names...)
		if err != nil {
			return fmt.Errorf("restore: target: topics: %w", err)
		}
		err = r.takeIDs(meta)
		var refused *RefusedError
		if err == nil || errors.As(err, &refused) || time.Now().After(deadline) {
			return err
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
}

func (r *runner) takeIDs(meta map[string]rawkafka.Topic) error {
	for _, t := range r.topics {
		m := meta[t.name]
		if m.Err != nil {
			return fmt.Errorf("restore: target: %s: %w", t.name, m.Err)
		}
		if c, ok := t.shape(m); !ok {
			return refuse(c)
		}
		t.id = m.ID
	}
	return nil
}

// recheck looks at topics that appeared after the plan was made, as NewPlan would have.
func (r *runner) recheck(ctx context.Context, raced []*topicJob) error {
	var conflicts []Conflict
	for _, t := range raced {
		for _, j := range t.partitions {
			ends, err := r.cluster.Ends(ctx, []rawkafka.Partition{j.target()})
			if err = cmp.Or(err, ends[j.target()].Err); err != nil {
				return j.wrap(0, fmt.Errorf("target: end offset: %w", err))
			}
			if j.position = ends[j.target()].End; j.position == 0 {
				continue
			}
			cf, err := r.content(ctx, r.cluster, j)
			if err != nil {
				return err
			}
			if cf != nil {
				conflicts = append(conflicts, *cf)
			}
		}
	}
	if len(conflicts) > 0 {
		return &RefusedError{Job: "restore", Conflicts: conflicts}
	}
	return nil
}

// Memory that one partition takes while it is copied, at most: a queue, and frames that are read
// and read ahead.
const (
	maxAtOnce    = 64
	partitionMem = 4 << 20
	minMem       = 128 << 10
)

// concurrency is how many large partitions are copied at once.
func (c *Config) concurrency() int64 { return min(max(c.MemoryBytes/partitionMem, 1), maxAtOnce) }

// memory is what copying a partition takes.
func (j *partitionJob) memory(limit int64) int64 {
	most := max(partitionMem, 4*j.total.maxBatch)
	return min(2*j.todo.bytes+minMem, most, limit) // a small one is read whole, and queued
}

// partitions copies all partitions, as many at once as memory allows, in order. One that fails
// doesn't stop the others.
func (r *runner) partitions(ctx context.Context) error {
	stop := r.reporting(ctx)
	defer stop()
	memory := semaphore.NewWeighted(r.cfg.MemoryBytes)
	slots := semaphore.NewWeighted(maxAtOnce)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, t := range r.topics {
		for _, j := range t.partitions {
			need := j.memory(r.cfg.MemoryBytes)
			if slots.Acquire(ctx, 1) != nil || memory.Acquire(ctx, need) != nil {
				break
			}
			wg.Go(func() {
				defer slots.Release(1)
				defer memory.Release(need)
				if err := r.how.copy(ctx, r, j); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("restore: %w", context.Cause(ctx))
	}
	return errors.Join(errs...)
}

// reporting reports progress until the returned func is called.
func (r *runner) reporting(ctx context.Context) func() {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { r.progress.report(ctx) })
	return func() { cancel(); wg.Wait() }
}

// finish gives topics their own policy, but what must be held, and restores groups and ACLs.
func (r *runner) finish(ctx context.Context) (*Result, error) {
	res := &Result{Held: map[string]map[string]string{}, Warnings: append(slices.Clone(r.plan.Warnings), r.warnings...)}
	if err := r.finalConfigs(ctx, res); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	if err := r.how.note(ctx, r, res); err != nil {
		return nil, err
	}
	if err := r.commitGroups(ctx, res); err != nil {
		return nil, err
	}
	if err := r.createACLs(ctx); err != nil {
		return nil, err
	}
	res.Records, res.Bytes = r.progress.visible.Load(), r.progress.produced.Load()
	res.Duration = millis.Duration(time.Since(r.progress.started))
	return res, nil
}

// finalConfigs sets the topics' own configs, but for those that are held.
func (r *runner) finalConfigs(ctx context.Context, res *Result) error {
	now := time.Now()
	own := slices.DeleteFunc(slices.Clone(r.topics), func(t *topicJob) bool { return !r.how.own(t) })
	for topics := range slices.Chunk(own, adminTopics) {
		names := make([]string, 0, len(topics))
		for _, t := range topics {
			names = append(names, t.name)
		}
		are, err := describeTopics(ctx, r.cluster, names)
		if err != nil {
			return err
		}
		set := map[string]map[string]*string{}
		for _, t := range topics {
			held, _ := t.configs.held(t.expiry(), now)
			set[t.name] = t.configs.atEnd(held, are[t.name])
			maps.DeleteFunc(held, func(key, _ string) bool { return are[t.name][key].value != holds[key] })
			if len(held) > 0 {
				res.Held[t.name] = held
			}
		}
		if _, err := alterConfigs(ctx, r.cluster, set); err != nil {
			return err
		}
	}
	return nil
}
