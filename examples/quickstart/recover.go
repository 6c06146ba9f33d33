package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/storage"
)

// restoreOnto plans, looks at the plan, and carries it out.
func restoreOnto(ctx context.Context, s *story, snapshot *storage.Snapshot, second *kfake.Cluster) error {
	info := snapshot.Info()
	s.say("the newest restore point is %s, %d records in %d partitions", info.ID, info.Records, info.Partitions)
	cfg := restore.Config{Target: clientOpts(second), Snapshot: snapshot, Groups: true}
	plan, err := restore.NewPlan(ctx, cfg)
	if err != nil {
		return err
	}
	holes := int64(0)
	for _, t := range plan.Topics {
		for _, p := range t.Partitions {
			holes += p.HoleOffsets
		}
	}
	s.say("the plan: %d topics, %d records, %d offsets without a record, by %s", len(plan.Topics), plan.Records, holes, plan.HoleMethod)
	result, err := plan.Run(ctx)
	if err != nil {
		return err
	}
	s.say("restored %d records and %d group offsets in %s", result.Records, result.Groups, result.Duration.Round(time.Millisecond))
	released, err := restore.Release(ctx, cfg)
	if err != nil {
		return err
	}
	s.say("policies that were held back are set free on %d topics", len(released.Topics))
	return nil
}
