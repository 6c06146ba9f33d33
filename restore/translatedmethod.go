package restore

import (
	"context"
	"fmt"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// translated appends the records behind those of others, with other offsets and a map of them.
// Topics that it didn't make keep their own policies.
type translated struct{}

func (translated) steps(p *planner) []func(context.Context) error {
	return []func(context.Context) error{
		p.sums, p.checkTarget, p.checkTopics, p.positions, p.checkOwn, p.placed, p.roundTrip, p.groups, p.planACLs, p.capabilities,
	}
}

func (translated) left(j *partitionJob, pp *PartitionPlan) bool {
	pp.Filler, pp.Placed = 0, j.to.found
	return !j.to.done && (j.to.note == nil || pp.Records > 0 || j.to.m == nil)
}

func (translated) touches(*topicJob) (configs, logStarts, holes bool) { return false, false, false }

func (translated) caveats(p *planner) {
	p.general()
	if p.cfg.Edit != nil {
		p.warn("with Edit, going on after a crash needs the same Edit: what it does can't be told from its outside")
	}
}

// hold is nothing: a topic was made for copying, or is somebody else's.
func (translated) hold(*topicJob) map[string]*string { return nil }

func (translated) begin(ctx context.Context, r *runner, raced []*topicJob, _ map[string]map[string]*string) error {
	for _, t := range raced {
		return refuse(topicConflict(t.name, "topic", "it was made after the plan"))
	}
	return r.begin(ctx)
}

func (translated) copy(ctx context.Context, r *runner, j *partitionJob) error {
	return r.copyTranslated(ctx, j)
}

func (translated) end(context.Context, *runner) error { return nil }

func (translated) note(ctx context.Context, r *runner, res *Result) error {
	return r.saveMaps(ctx, res)
}

func (translated) committed(j *partitionJob, offset int64) (int64, string) {
	if !j.to.done || j.to.m == nil {
		return -1, notMappedYet
	}
	return translatedOffset(j.to.m, offset)
}

func (translated) own(t *topicJob) bool { return t.own }

func (translated) made(ctx context.Context, j *job, c *rawkafka.Cluster) (func(*topicJob) bool, error) {
	l, err := ledger.Open(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("restore: release: %w", err)
	}
	notes, _ := l.Restores() // what can't be read isn't ours
	return func(t *topicJob) bool { return j.noted(notes, t) }, nil
}
