package offsets

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"
)

// groupWorkers is how many groups of a batch are changed at once.
const groupWorkers = 32

// groupChange is what is to be changed of one group.
type groupChange struct {
	group string
	// remove deletes the group at the end, if nothing else is committed in it.
	remove bool
	lines  []lineChange
}

// lineChange is a partition's committed offset, from what it must be to what it shall be; nil is
// nothing.
type lineChange struct {
	at       Committed // the place: topic, ID, partition
	from, to *Committed
}

func (l *lineChange) refusal(group string, why Why, detail string) Refusal {
	r := Refusal{Group: group, Topic: l.at.Topic, Partition: l.at.Partition, Offset: -1, Why: why, Detail: detail}
	if l.to != nil {
		r.Offset = l.to.Offset
	}
	return r
}

// carryOut makes the changes through the groups' coordinators. Each group is looked at right
// before, the first time and after every failure: a commit whose answer was lost may be there, and
// others may have come behind it.
func (c *groupsClient) carryOut(ctx context.Context, changes []groupChange, res *Result, progress func(done, total int)) error {
	byName := make(map[string]*groupChange, len(changes))
	names := make([]string, 0, len(changes))
	for i := range changes {
		byName[changes[i].group] = &changes[i]
		names = append(names, changes[i].group)
	}
	var mu sync.Mutex
	var done int
	outcomes := make(map[string]*outcome, len(names))
	failed := c.rounds(ctx, "commit offsets", names, func(ctx context.Context, names []string) map[string]error {
		now, errs := c.fetchOnce(ctx, names, true)
		var g errgroup.Group
		g.SetLimit(groupWorkers)
		for name := range now {
			g.Go(func() error {
				mu.Lock()
				o := outcomes[name]
				if o == nil {
					o = &outcome{changed: map[int]bool{}, refused: map[int]Refusal{}}
					outcomes[name] = o
				}
				mu.Unlock()
				err := c.change(ctx, byName[name], now[name], o)
				mu.Lock()
				defer mu.Unlock()
				if errs[name] = err; err == nil {
					done++
				}
				if err == nil && progress != nil {
					progress(done, len(byName))
				}
				return nil
			})
		}
		_ = g.Wait()
		return errs
	})
	for _, name := range names {
		if o := outcomes[name]; o != nil {
			res.add(o)
		}
	}
	res.sort()
	var all []error
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		all = append(all, &GroupError{Group: name, Op: "commit", Err: failed[name]})
	}
	return errors.Join(all...)
}

// outcome is what became of a group's lines, by their index.
type outcome struct {
	changed map[int]bool
	kept    int
	removed bool
	refused map[int]Refusal // -1: the group
}

func (r *Result) add(o *outcome) {
	if len(o.changed) > 0 || o.removed {
		r.Groups++
	}
	r.Offsets += len(o.changed)
	r.Kept += o.kept
	r.Refused = slices.AppendSeq(r.Refused, maps.Values(o.refused))
}

func (r *Result) sort() {
	if r.Refused == nil {
		r.Refused = []Refusal{}
	}
	slices.SortStableFunc(r.Refused, func(a, b Refusal) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

// change changes one group, from what is there now.
func (c *groupsClient) change(ctx context.Context, g *groupChange, now fetched, o *outcome) error {
	var commit, remove []int
	o.kept = 0
	for i := range g.lines {
		l := &g.lines[i]
		is := find(now.offsets, l.at.Topic, l.at.Partition)
		_, refused := o.refused[i]
		switch {
		case refused:
		case slices.Contains(now.pending, Pending{l.at.Topic, l.at.Partition}):
			o.refused[i] = l.refusal(g.group, WhyUnstable, "a transactional commit is under way")
		case is.same(l.to):
			if !o.changed[i] {
				o.kept++
			}
		case !is.same(l.from):
			o.refused[i] = l.refusal(g.group, WhyMoved, is.text()+" is committed, and "+l.from.text()+" was just before")
		case l.to != nil:
			commit = append(commit, i)
		default:
			remove = append(remove, i)
		}
	}
	if len(commit) > 0 {
		if err := c.commit(ctx, g, commit, o); err != nil {
			return err
		}
	}
	if len(remove) > 0 && !g.remove {
		if err := c.deleteOffsets(ctx, g, remove, o); err != nil {
			return err
		}
	}
	if g.remove && len(o.refused) == 0 {
		return c.deleteGroup(ctx, g, now, remove, o)
	}
	return nil
}

// commit commits some of a group's lines.
func (c *groupsClient) commit(ctx context.Context, g *groupChange, lines []int, o *outcome) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = g.group
	at := map[place]int{}
	topics := map[string]int{}
	for _, i := range lines {
		to := g.lines[i].to
		n, ok := topics[to.Topic]
		if !ok {
			n = len(req.Topics)
			topics[to.Topic] = n
			rt := kmsg.NewOffsetCommitRequestTopic()
			rt.Topic, rt.TopicID = to.Topic, g.lines[i].at.TopicID
			req.Topics = append(req.Topics, rt)
		}
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = to.Partition, to.Offset, to.LeaderEpoch, to.Metadata
		req.Topics[n].Partitions = append(req.Topics[n].Partitions, rp)
		at[to.place()] = i
	}
	names := map[TopicID]string{}
	for _, t := range req.Topics {
		names[TopicID(t.TopicID)] = t.Topic
	}
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range resp.Topics {
		topic := cmp.Or(t.Topic, names[TopicID(t.TopicID)])
		for _, p := range t.Partitions {
			i, ok := at[place{topic, p.Partition}]
			if !ok {
				continue
			}
			delete(at, place{topic, p.Partition})
			if err := o.answer(g, i, kerr.ErrorForCode(p.ErrorCode)); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if len(at) > 0 && len(errs) == 0 {
		return errNoAnswer
	}
	return errors.Join(errs...)
}

// answer notes a coordinator's answer for a line; what is neither done nor refused is an error.
func (o *outcome) answer(g *groupChange, i int, err error) error {
	if err == nil {
		o.changed[i] = true
		return nil
	}
	l := &g.lines[i]
	if why, detail := refusedBy(err); why != "" {
		o.refused[i] = l.refusal(g.group, why, detail)
		return nil
	}
	return &PartitionError{Job: "offsets", Topic: l.at.Topic, Partition: l.at.Partition, Offset: -1, Err: err}
}

// refusedBy says what a coordinator's answer means that is final and concerns one group or
// partition.
func refusedBy(err error) (Why, string) {
	for _, r := range []struct {
		err    error
		why    Why
		detail string
	}{
		{kerr.UnknownMemberID, WhyActive, "the coordinator refuses: the group has members"},
		{kerr.IllegalGeneration, WhyActive, "the coordinator refuses: the group has members"},
		{kerr.StaleMemberEpoch, WhyActive, "the coordinator refuses: the group has members"},
		{kerr.RebalanceInProgress, WhyActive, "the coordinator refuses: the group rebalances"},
		{kerr.NonEmptyGroup, WhyActive, "the coordinator refuses: the group has members"},
		{kerr.GroupSubscribedToTopic, WhyActive, "the coordinator refuses: the group's members read the topic"},
		{kerr.UnknownTopicID, WhyRecreated, "the coordinator knows no such topic ID"},
		{kerr.UnknownTopicOrPartition, WhyUnknownTopic, "the coordinator knows no such topic or partition"},
		{kerr.TopicAuthorizationFailed, WhyDenied, "the right Read on the topic is missing"},
		{kerr.GroupAuthorizationFailed, WhyDenied, "the right Read or Delete on the group is missing"},
	} {
		if errors.Is(err, r.err) {
			return r.why, r.detail
		}
	}
	return "", ""
}

// deleteOffsets removes what is committed for some of a group's lines (KIP-496).
func (c *groupsClient) deleteOffsets(ctx context.Context, g *groupChange, lines []int, o *outcome) error {
	if len(lines) == 0 {
		return nil
	}
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = g.group
	topics, at := map[string]int{}, map[place]int{}
	for _, i := range lines {
		l := &g.lines[i]
		n, ok := topics[l.at.Topic]
		if !ok {
			n = len(req.Topics)
			topics[l.at.Topic] = n
			rt := kmsg.NewOffsetDeleteRequestTopic()
			rt.Topic = l.at.Topic
			req.Topics = append(req.Topics, rt)
		}
		rp := kmsg.NewOffsetDeleteRequestTopicPartition()
		rp.Partition = l.at.Partition
		req.Topics[n].Partitions = append(req.Topics[n].Partitions, rp)
		at[l.at.place()] = i
	}
	resp, err := req.RequestWith(ctx, c.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if why, detail := refusedBy(err); why != "" {
		o.refused[-1] = Refusal{Group: g.group, Partition: -1, Offset: -1, Why: why, Detail: detail}
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if i, ok := at[place{t.Topic, p.Partition}]; ok {
				if err := o.answer(g, i, kerr.ErrorForCode(p.ErrorCode)); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// deleteGroup deletes a group that wasn't there, if it holds nothing but the lines.
func (c *groupsClient) deleteGroup(ctx context.Context, g *groupChange, now fetched, lines []int, o *outcome) error {
	if len(now.offsets)+len(now.pending) > len(lines) {
		return c.deleteOffsets(ctx, g, lines, o)
	}
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{g.group}
	resp, err := req.RequestWith(ctx, c.cl)
	if err != nil {
		return err
	}
	for _, a := range resp.Groups {
		err = kerr.ErrorForCode(a.ErrorCode)
	}
	if why, detail := refusedBy(err); why != "" {
		o.refused[-1] = Refusal{Group: g.group, Partition: -1, Offset: -1, Why: why, Detail: detail}
		return nil
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return err
	}
	o.removed = err == nil
	for _, i := range lines {
		o.changed[i] = true
	}
	return nil
}
