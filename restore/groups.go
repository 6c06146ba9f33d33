package restore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/quote"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/storage"
)

// Reasons of GroupPlan.Why.
const (
	beyondCut     = "beyond_cut"
	belowLogStart = "below_log_start"
	notMappedYet  = "not_mapped_yet"
)

// groups plans the offsets to commit, and looks whether the target's groups allow it.
func (p *planner) groups(ctx context.Context) error {
	if !p.cfg.Groups {
		return nil
	}
	find := p.finder()
	for g, err := range p.cfg.Snapshot.Groups(ctx) {
		if f, ok := unreadOf(err); ok {
			p.spoilt(clusterConflict(f.kind, "the snapshot may hold more groups: what its manifest says of them can't be read: %s", f))
			continue
		}
		if err != nil {
			return fmt.Errorf("restore: groups: %w", err)
		}
		p.plan.Groups = append(p.plan.Groups, p.planGroup(g, find)...)
	}
	if len(p.plan.Groups) == 0 {
		return nil
	}
	return p.checkGroups(ctx)
}

// finder finds the partition to restore that an offset is of: by topic ID, where the snapshot has
// it, else by name.
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

// planGroup plans one group, and warns of what isn't as it was.
func (p *planner) planGroup(g storage.Group, find func(storage.GroupOffset) *partitionJob) []GroupPlan {
	if g.Error != "" {
		p.warn("group %s: its offsets couldn't be read: %s", quote.Name(g.Name), g.Error)
	}
	var plans []GroupPlan
	for _, o := range g.Offsets {
		j := find(o)
		if j == nil || o.Offset < 0 {
			continue
		}
		gp := GroupPlan{Group: g.Name, Topic: j.topic.name, Partition: o.Partition, AsRead: o.Offset, metadata: o.Metadata}
		gp.Offset, gp.Why = p.how.committed(j, o.Offset)
		plans = append(plans, gp)
	}
	if len(plans) > 0 && !g.AbsentSince.IsZero() {
		since := g.AbsentSince.UTC().Format(time.RFC3339)
		if !p.cfg.RestoreAbsent {
			p.warn("group %s: not restored: the source hasn't had it since %s", quote.Name(g.Name), since)
			return nil
		}
		p.warn("group %s: restored though the source hasn't had it since %s", quote.Name(g.Name), since)
	}
	for _, o := range g.Pending {
		p.warn("group %s: %s/%d: a transactional commit was under way; what was committed before it counts", quote.Name(g.Name), quote.Name(o.Topic), o.Partition)
	}
	for _, gp := range plans {
		if gp.Why != "" && gp.Why != notMappedYet {
			p.warn("group %s: %s/%d: committed %d becomes %d: %s", quote.Name(gp.Group), quote.Name(gp.Topic), gp.Partition, gp.AsRead, gp.Offset, gp.Why)
		}
	}
	return plans
}

// translatedOffset is what becomes of a committed offset by a map, and why it isn't as read.
func translatedOffset(m *offsets.Map, offset int64) (int64, string) {
	to, how := m.Translate(offset)
	switch how {
	case offsets.HowPastEnd:
		return to, beyondCut
	case offsets.HowBeforeStart:
		return to, belowLogStart
	}
	return to, ""
}

// checkGroups refuses groups that are active on the target, and those whose commits would go back.
// Topics and records needn't be there yet.
func (p *planner) checkGroups(ctx context.Context) error {
	plan, err := offsets.NewGroupsPlan(ctx, p.cluster.Client(), offsets.PlanConfig{
		Groups: p.wantedGroups(p.plan.Groups), AllowPastEnd: true, RetryFor: adminTimeout, OnRetry: p.cfg.Hooks.OnRetry,
	})
	if err != nil {
		return fmt.Errorf("restore: target: groups: %w", err)
	}
	for _, r := range plan.Refused() {
		if r.Topic == "" || r.Why == offsets.WhyRewind || r.Why == offsets.WhyUnstable {
			p.refuse(groupConflict(r))
		}
	}
	return nil
}

// groupConflict is a refusal as a conflict.
func groupConflict(r offsets.Refusal) Conflict {
	kind := "group_" + string(r.Why)
	if r.Why == offsets.WhyRewind {
		kind = "group_ahead"
	}
	if r.Topic == "" {
		return Conflict{Group: r.Group, Partition: -1, Offset: -1, Kind: kind, Detail: r.Detail}
	}
	return Conflict{Group: r.Group, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Kind: kind, Detail: r.Detail}
}

// wantedGroups are the groups to commit, under the target's names. An offset that isn't known yet
// is left out.
func (j *job) wantedGroups(plans []GroupPlan) *offsets.Groups {
	groups := &offsets.Groups{ClusterID: j.info.ClusterID, At: j.info.CreatedAt}
	for _, gp := range plans { // by group
		if n := len(groups.Groups); n == 0 || groups.Groups[n-1].Group != gp.Group {
			groups.Groups = append(groups.Groups, offsets.Group{Group: gp.Group})
		}
		if gp.Offset < 0 {
			continue
		}
		g := &groups.Groups[len(groups.Groups)-1]
		g.Offsets = append(g.Offsets, offsets.Committed{Topic: gp.Topic, Partition: gp.Partition, Offset: gp.Offset, LeaderEpoch: -1, Metadata: gp.metadata})
	}
	return groups
}

// commitGroups commits the planned offsets by a plan of their own, made now that all records are
// there: what others have done to the groups meanwhile is refused, before the first commit.
func (r *runner) commitGroups(ctx context.Context, res *Result) error {
	if len(r.plan.Groups) == 0 {
		return nil
	}
	wanted := r.wantedGroups(r.placedGroups(res))
	plan, err := offsets.NewGroupsPlan(ctx, r.cluster.Client(), offsets.PlanConfig{Groups: wanted, RetryFor: adminTimeout, OnRetry: r.retry})
	if err != nil {
		return fmt.Errorf("restore: groups: %w", err)
	}
	if err := r.sameTopics(plan); err != nil {
		return err
	}
	_, err = plan.Apply(ctx, r.cluster.Client(), offsets.ApplyConfig{RetryFor: adminTimeout, OnRetry: r.retry, Save: func(b *offsets.Before) error {
		res.GroupsBefore = b
		if r.cfg.SaveGroups == nil {
			return nil
		}
		return r.cfg.SaveGroups(b)
	}})
	var refused *offsets.RefusedError
	switch {
	case errors.As(err, &refused):
		conflicts := &RefusedError{Job: "restore"}
		for _, one := range refused.Refused {
			conflicts.Conflicts = append(conflicts.Conflicts, groupConflict(one))
		}
		return errors.Join(conflicts, groupErrors(err))
	case err != nil:
		return fmt.Errorf("restore: groups: %w", err)
	}
	res.Groups = len(wanted.Groups)
	return nil
}

// groupErrors are the groups' errors that came with refusals, if any did.
func groupErrors(err error) error {
	if one := new(offsets.GroupError); errors.As(err, &one) {
		return fmt.Errorf("restore: groups: %w", err)
	}
	return nil
}

// placedGroups are the plan's lines with the offsets that are known now.
func (r *runner) placedGroups(res *Result) []GroupPlan {
	type place struct {
		topic     string
		partition int32
	}
	jobs := map[place]*partitionJob{}
	for _, t := range r.topics {
		for _, j := range t.partitions {
			jobs[place{t.name, j.state.Partition.Partition}] = j
		}
	}
	plans := make([]GroupPlan, 0, len(r.plan.Groups))
	for _, gp := range r.plan.Groups {
		if j := jobs[place{gp.Topic, gp.Partition}]; j != nil && j.to.m != nil {
			gp.Offset, gp.Why = translatedOffset(j.to.m, gp.AsRead)
		}
		plans = append(plans, gp)
		if gp.Why != "" {
			res.GroupsClamped = append(res.GroupsClamped, gp)
		}
	}
	return plans
}

// sameTopics refuses topics that were created again while they were restored.
func (r *runner) sameTopics(plan *offsets.GroupsPlan) error {
	ids := map[string]kadm.TopicID{}
	for _, t := range r.topics {
		ids[t.name] = t.id
	}
	for _, g := range plan.Groups {
		for _, o := range g.Offsets {
			if id := kadm.TopicID(o.TopicID); id != ids[o.Topic] {
				return refuse(topicConflict(o.Topic, "group_recreated", "its ID is %v, and %v was restored", id, ids[o.Topic]))
			}
		}
	}
	return nil
}
