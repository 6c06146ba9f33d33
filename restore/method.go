package restore

import (
	"context"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// method is how records come onto the target. A restore has one, by Config.Offsets; whatever
// differs between them is here.
type method interface {
	// steps are what a plan looks at, in this order.
	steps(p *planner) []func(context.Context) error
	// left fills in what is left to do of a partition, and says whether anything is.
	left(j *partitionJob, pp *PartitionPlan) bool
	// touches says what the restore does to a topic beside appending records.
	touches(t *topicJob) (configs, logStarts, holes bool)
	// caveats warns of what the way of copying can't do.
	caveats(p *planner)

	// hold are the configs that a topic has while it is copied to, which exists already; nil: its
	// own.
	hold(t *topicJob) map[string]*string
	// begin is what is done between the making of topics and the copying. Raced topics were made by
	// others since the plan.
	begin(ctx context.Context, r *runner, raced []*topicJob, hold map[string]map[string]*string) error
	// copy copies a partition.
	copy(ctx context.Context, r *runner, j *partitionJob) error
	// end is what is done once all partitions are copied, before topics get their own configs.
	end(ctx context.Context, r *runner) error
	// note writes down, on the target, what was restored, and adds it to the result.
	note(ctx context.Context, r *runner, res *Result) error
	// committed is what becomes of a group's committed offset, and why it isn't as read: -1 until
	// that can be known.
	committed(j *partitionJob, offset int64) (int64, string)
	// own says whether a run gives the topic its configs in the end.
	own(t *topicJob) bool
	// made says for a Release, which knows nothing of the run, which topics those were.
	made(ctx context.Context, j *job, c *rawkafka.Cluster) (func(*topicJob) bool, error)
}

// methodOf is the method of a configuration.
func methodOf(o Offsets) method {
	if o == Translated {
		return translated{}
	}
	return exact{}
}
