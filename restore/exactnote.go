package restore

import (
	"context"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/internal/ledger"
)

// noteExact notes in the target's ledger which topics are exact copies now, and up to where:
// [offsets.Open] answers from that. Where it can't be written, all is restored, and that is a
// warning.
func (r *runner) noteExact(ctx context.Context, res *Result) error {
	if len(r.topics) == 0 {
		return nil
	}
	notes, now := make(map[string]any, len(r.topics)), time.Now().UTC()
	for _, t := range r.topics {
		n := ledger.ExactRestore{
			SourceCluster: r.info.ClusterID, SourceAlias: r.cfg.SourceAlias, SourceTopic: t.source.Name, SourceTopicID: t.source.ID.String(),
			TargetTopic: t.name, TargetTopicID: t.id.String(), Snapshot: r.info.ID, Ends: make(map[int32]int64, len(t.partitions)), DoneAt: now,
		}
		for _, j := range t.partitions {
			n.Ends[j.state.Partition.Partition] = j.end
		}
		notes[ledger.ExactKey(n.SourceCluster, n.SourceTopic, n.TargetTopic)] = n
	}
	l, err := ledger.Open(ctx, r.cluster)
	if err == nil {
		err = l.Put(ctx, notes)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		res.Warnings = append(res.Warnings, fmt.Sprintf("all is restored, but that isn't noted on the target, so kdr translate can't say that its offsets are the source's: %v", err))
	}
	return nil
}
