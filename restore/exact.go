package restore

import (
	"context"
	"fmt"
	"maps"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// exact gives every record the offset that it had at the source. The target's logs are the
// restore's alone.
type exact struct{}

func (exact) steps(p *planner) []func(context.Context) error {
	return []func(context.Context) error{
		p.sums, p.checkTarget, p.checkTopics, p.positions, p.remaining, p.contents, p.method, p.groups, p.planACLs, p.capabilities,
	}
}

func (exact) left(j *partitionJob, _ *PartitionPlan) bool {
	return j.position < j.end || j.position < j.start() || j.end <= 0 && !j.topic.exists
}

func (exact) touches(t *topicJob) (configs, logStarts, holes bool) {
	for _, j := range t.partitions {
		logStarts = logStarts || j.start() > 0
	}
	return t.exists && !t.complete() || !maps.Equal(t.configs.final, t.configs.copying), logStarts, t.holes()
}

func (exact) caveats(p *planner) { p.caveats() }

func (exact) hold(t *topicJob) map[string]*string {
	if t.complete() {
		return nil
	}
	return t.configs.whileCopying()
}

func (exact) begin(ctx context.Context, r *runner, raced []*topicJob, hold map[string]map[string]*string) error {
	if err := r.recheck(ctx, raced); err != nil {
		return err
	}
	for _, t := range raced {
		hold[t.name] = t.configs.whileCopying()
	}
	if _, err := alterConfigs(ctx, r.cluster, hold); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

func (exact) copy(ctx context.Context, r *runner, j *partitionJob) error {
	return r.copyPartition(ctx, j)
}

func (exact) end(ctx context.Context, r *runner) error { return r.keepStarts(ctx) }

func (exact) note(ctx context.Context, r *runner, res *Result) error { return r.noteExact(ctx, res) }

func (exact) committed(j *partitionJob, offset int64) (int64, string) {
	switch {
	case offset > j.end:
		return j.end, beyondCut
	case offset < j.start():
		return j.start(), belowLogStart
	}
	return offset, ""
}

func (exact) own(*topicJob) bool { return true }

func (exact) made(context.Context, *job, *rawkafka.Cluster) (func(*topicJob) bool, error) {
	return func(*topicJob) bool { return true }, nil
}
