package restore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// Reasons of GroupPlan.Why.
const (
	beyondCut     = "beyond_cut"
	belowLogStart = "below_log_start"
)

// groupWorkers is how many groups are committed at once.
const groupWorkers = 8

// groups plans the offsets to commit, and looks whether the target's groups allow it.
func (p *planner) groups(ctx context.Context) error {
	if !p.cfg.Groups {
		return nil
	}
	find := p.finder()
	var names []string
	for g, err := range p.cfg.Snapshot.Groups(ctx) {
		if err != nil {
			return fmt.Errorf("restore: groups: %w", err)
		}
		if g.Error != "" {
			p.warn("group %s: its offsets couldn't be read: %s", g.Name, g.Error)
		}
		plans := planGroup(g, find)
		if len(plans) > 0 {
			names = append(names, g.Name)
		}
		for _, gp := range plans {
			if gp.Why != "" {
				p.warn("group %s: %s/%d: committed %d becomes %d: %s", gp.Group, gp.Topic, gp.Partition, gp.AsRead, gp.Offset, gp.Why)
			}
		}
		p.plan.Groups = append(p.plan.Groups, plans...)
	}
	if len(names) == 0 {
		return nil
	}
	return p.checkGroups(ctx, names)
}

// finder finds the partition to restore that an offset is of: by topic ID, where the snapshot has it, else by name.
func (j *job) finder() func(storage.GroupOffset) *partitionJob {
	type place struct {
		id        kadm.TopicID
		name      string
		partition int32
	}
	jobs := map[place]*partitionJob{}
	for _, t := range j.topics {
		for _, pj := range t.partitions {
			jobs[place{id: t.source.ID, partition: pj.state.Partition.Partition}] = pj
			jobs[place{name: t.source.Name, partition: pj.state.Partition.Partition}] = pj
		}
	}
	return func(o storage.GroupOffset) *partitionJob {
		if o.TopicID != (kadm.TopicID{}) {
			return jobs[place{id: o.TopicID, partition: o.Partition}]
		}
		return jobs[place{name: o.Topic, partition: o.Partition}]
	}
}

func planGroup(g storage.Group, find func(storage.GroupOffset) *partitionJob) []GroupPlan {
	var plans []GroupPlan
	for _, o := range g.Offsets {
		j := find(o)
		if j == nil || o.Offset < 0 {
			continue
		}
		gp := GroupPlan{Group: g.Name, Topic: j.topic.name, Partition: o.Partition, Offset: o.Offset, AsRead: o.Offset, metadata: o.Metadata}
		switch {
		case o.Offset > j.end:
			gp.Offset, gp.Why = j.end, beyondCut
		case o.Offset < j.start():
			gp.Offset, gp.Why = j.start(), belowLogStart
		}
		plans = append(plans, gp)
	}
	return plans
}

// checkGroups refuses groups that are active on the target, and those whose commits would go back.
func (p *planner) checkGroups(ctx context.Context, names []string) error {
	listed, err := p.cluster.Admin().ListGroups(ctx)
	if err != nil {
		return fmt.Errorf("restore: target: groups: %w", err)
	}
	var there []string
	for _, name := range names {
		g, ok := listed[name]
		switch {
		case !ok:
		case g.State != "" && g.State != "Empty" && g.State != "Dead":
			p.refuse(clusterConflict("group_active", "group %s is %s on the target", name, g.State))
		default:
			there = append(there, name)
		}
	}
	for chunk := range slices.Chunk(there, adminTopics) {
		for name, got := range p.cluster.Admin().FetchManyOffsets(ctx, chunk...) {
			if got.Err != nil && !errors.Is(got.Err, kerr.GroupIDNotFound) {
				return fmt.Errorf("restore: target: group %s: %w", name, got.Err)
			}
			p.checkRewind(name, got.Fetched)
		}
	}
	return nil
}

func (p *planner) checkRewind(group string, now kadm.OffsetResponses) {
	for _, gp := range p.plan.Groups {
		if gp.Group != group {
			continue
		}
		if o, ok := now.Lookup(gp.Topic, gp.Partition); ok && o.Err == nil && o.At > gp.Offset {
			p.refuse(Conflict{
				Topic: gp.Topic, Partition: gp.Partition, Offset: gp.Offset, Kind: "group_ahead",
				Detail: fmt.Sprintf("group %s has committed %d on the target already", group, o.At),
			})
		}
	}
}

// commitGroups commits the planned offsets, with leader epoch -1: the target's epochs aren't the source's.
func (r *runner) commitGroups(ctx context.Context, res *Result) error {
	byGroup := map[string][]GroupPlan{}
	for _, gp := range r.plan.Groups {
		byGroup[gp.Group] = append(byGroup[gp.Group], gp)
		if gp.Why != "" {
			res.GroupsClamped = append(res.GroupsClamped, gp)
		}
	}
	ids := map[string]kadm.TopicID{}
	for _, t := range r.topics {
		ids[t.name] = t.id
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(groupWorkers)
	for _, name := range sortedKeys(byGroup) {
		g.Go(func() error {
			if err := r.commitGroup(ctx, name, commitRequest(name, byGroup[name], ids)); err != nil {
				return fmt.Errorf("restore: group %s: commit: %w", name, err)
			}
			return nil
		})
	}
	res.Groups = len(byGroup)
	return g.Wait()
}

func commitRequest(group string, plans []GroupPlan, ids map[string]kadm.TopicID) *kmsg.OffsetCommitRequest {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = group
	at := map[string]int{}
	for _, gp := range plans {
		i, ok := at[gp.Topic]
		if !ok {
			i = len(req.Topics)
			at[gp.Topic] = i
			rt := kmsg.NewOffsetCommitRequestTopic()
			rt.Topic, rt.TopicID = gp.Topic, ids[gp.Topic]
			req.Topics = append(req.Topics, rt)
		}
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = gp.Partition, gp.Offset, -1, gp.metadata
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, rp)
	}
	return req
}

// commitGroup commits one group's offsets, again while its coordinator loads or moves.
func (r *runner) commitGroup(ctx context.Context, name string, req *kmsg.OffsetCommitRequest) error {
	deadline := time.Now().Add(adminTimeout)
	for n := 0; ; n++ {
		resp, err := req.RequestWith(ctx, r.cluster.Client())
		if err == nil {
			err = commitError(resp)
		}
		if err == nil || ctx.Err() != nil || !rawkafka.Retriable(err) && !kerr.IsRetriable(err) || time.Now().After(deadline) {
			return err
		}
		r.retry("commit group "+name, err)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
}

func commitError(resp *kmsg.OffsetCommitResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}
