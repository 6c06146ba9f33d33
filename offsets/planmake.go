package offsets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/quote"
)

// planner makes a plan.
type planner struct {
	cfg  PlanConfig
	c    *groupsClient
	plan *GroupsPlan
}

// translate makes the plan's lines: what is wanted, of which groups.
func (p *planner) translate(ctx context.Context, choose *choice) error {
	for _, n := range p.cfg.Groups.NotCarried {
		if choose.takes(n.Group) {
			p.plan.NotCarried = append(p.plan.NotCarried, n)
		}
	}
	seen := map[string]bool{}
	for i := range p.cfg.Groups.Groups {
		g := &p.cfg.Groups.Groups[i]
		if !choose.takes(g.Group) {
			continue
		}
		gp := GroupPlan{Group: g.Group, Type: g.Type, AbsentSince: g.AbsentSince, Offsets: []OffsetPlan{}}
		switch {
		case seen[g.Group]:
			gp.refuse(WhyAmbiguous, "it is captured twice")
		case !g.AbsentSince.IsZero() && !p.cfg.RestoreAbsent:
			gp.leave(WhyAbsent, "the source hasn't had it since "+g.AbsentSince.UTC().Format(time.RFC3339))
		case g.Error != "":
			gp.refuse(WhyUnread, g.Error)
		}
		seen[g.Group] = true
		if err := p.lines(ctx, g, &gp); err != nil {
			return err
		}
		p.plan.Groups = append(p.plan.Groups, gp)
	}
	slices.SortFunc(p.plan.Groups, func(a, b GroupPlan) int { return strings.Compare(a.Group, b.Group) })
	return nil
}

func (g *GroupPlan) leave(why Why, detail string)  { g.Do, g.Why, g.Detail = DoLeave, why, detail }
func (g *GroupPlan) refuse(why Why, detail string) { g.Do, g.Why, g.Detail = DoRefuse, why, detail }

func (o *OffsetPlan) refuse(why Why, format string, args ...any) {
	o.Do, o.Why, o.Detail = DoRefuse, why, fmt.Sprintf(format, args...)
}

// lines are a group's, in the target's order.
func (p *planner) lines(ctx context.Context, g *Group, gp *GroupPlan) error {
	seen := map[place]int{}
	for i := range g.Offsets {
		at := &g.Offsets[i]
		t, err := p.cfg.Translate(ctx, *at)
		if errors.Is(err, ErrLeftOut) {
			continue
		}
		if err != nil {
			return fmt.Errorf("offsets: group %s: %s/%d at %d: translate: %w", quote.Name(g.Group), quote.Name(at.Topic), at.Partition, at.Offset, err)
		}
		o := OffsetPlan{
			Topic: t.Topic, Partition: t.Partition, Source: *at, How: t.How, Evidence: t.Evidence, Wanted: t.Offset, Offset: t.Offset,
			PendingAtSource: slices.Contains(g.Pending, Pending{at.Topic, at.Partition}),
		}
		switch {
		case t.How == HowUnknown || t.Topic == "" || t.Offset < 0:
			o.Topic = cmp.Or(o.Topic, at.Topic)
			o.refuse(WhyUnresolved, "%s/%d at %d has no known offset on the target: %s", at.Topic, at.Partition, at.Offset, t.Evidence)
		default:
			if n, twice := seen[place{t.Topic, t.Partition}]; twice {
				for _, o := range []*OffsetPlan{&gp.Offsets[n], &o} {
					o.refuse(WhyAmbiguous, "%s/%d is another's of the group as well", quote.Name(o.Source.Topic), o.Source.Partition)
				}
			}
			seen[place{t.Topic, t.Partition}] = len(gp.Offsets)
		}
		gp.Offsets = append(gp.Offsets, o)
	}
	slices.SortStableFunc(gp.Offsets, func(a, b OffsetPlan) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return nil
}

// look compares the lines with the target.
func (p *planner) look(ctx context.Context) error {
	topics, names := map[string]bool{}, []string{}
	for _, g := range p.plan.Groups {
		names = append(names, g.Group)
		for _, o := range g.Offsets {
			if o.Why != WhyUnresolved && g.Do != DoLeave {
				topics[o.Topic] = true
			}
		}
	}
	v, err := p.c.view(ctx, topics, names)
	if err != nil {
		return fmt.Errorf("offsets: plan: target: %w", err)
	}
	p.plan.ClusterID = v.clusterID
	for i := range p.plan.Groups {
		g := &p.plan.Groups[i]
		there, listed := v.listed[g.Group]
		if listed {
			g.TargetType, g.State = there.Type, there.State
		}
		if g.Do == "" {
			v.checkGroup(g)
		}
		for n := range g.Offsets {
			p.decide(v, g, &g.Offsets[n])
		}
	}
	return nil
}

// checkGroup refuses what is so for the whole group.
func (v *view) checkGroup(g *GroupPlan) {
	there, listed := v.listed[g.Group]
	switch err := v.unread[g.Group]; {
	case err != nil:
		g.refuse(WhyUnread, "what it has committed on the target couldn't be read: "+oneLine(err))
	case listed && there.Type == "share":
		g.refuse(WhyShare, "it is a share group on the target")
	case there.Active():
		g.refuse(WhyActive, "it is "+there.State+" on the target, and none but its members can commit then")
	}
}

// decide fills a line in.
func (p *planner) decide(v *view, g *GroupPlan, o *OffsetPlan) {
	o.TopicID, o.Current = v.topics[o.Topic].id, v.current(g.Group, o.Topic, o.Partition)
	if g.Do != "" {
		o.Do, o.Why, o.Detail = g.Do, g.Why, ""
	}
	if o.Do != "" {
		return
	}
	if why, detail := v.gone(o.Topic, o.Partition); why != "" {
		o.refuse(why, "%s", detail)
		return
	}
	o.Do = DoCommit
	start, end := v.bounds(o.Topic, o.Partition)
	switch {
	case o.Wanted > end && !p.cfg.AllowPastEnd:
		o.Do, o.Why, o.Offset = DoClamp, WhyPastEnd, end
		o.Detail = fmt.Sprintf("the partition ends at %d", end)
	case o.Wanted < start:
		o.Do, o.Why, o.Offset = DoClamp, WhyBeforeStart, start
		o.Detail = fmt.Sprintf("the log starts at %d", start)
	}
	switch {
	case slices.Contains(v.now[g.Group].pending, Pending{o.Topic, o.Partition}):
		o.refuse(WhyUnstable, "a transactional commit is under way on the target")
	case o.Current == nil:
	case o.Current.equal(o.committed()):
		o.Do = DoKeep
	case o.Current.Offset > o.Offset && !p.cfg.AllowRewind:
		o.refuse(WhyRewind, "%d is committed on the target", o.Current.Offset)
	}
}

// view is what a target has at a time.
type view struct {
	clusterID  string
	topics     map[string]topicMeta
	start, end kadm.ListedOffsets
	listed     map[string]Group
	now        map[string]fetched
	unread     map[string]error // why a group isn't in now, or not whole
}

// view looks at topics and groups.
func (c *groupsClient) view(ctx context.Context, topics map[string]bool, groups []string) (*view, error) {
	v := &view{}
	var err error
	if v.topics, v.clusterID, err = c.topics(ctx, topics); err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for name, t := range v.topics {
		if t.err == nil {
			there[name] = true
		}
	}
	if v.start, v.end, err = c.logBounds(ctx, there); err != nil {
		return nil, err
	}
	var unlisted []string
	if v.listed, unlisted, err = c.list(ctx); err != nil {
		return nil, err
	}
	if len(unlisted) > 0 {
		return nil, fmt.Errorf("list groups: %s", strings.Join(unlisted, "; "))
	}
	v.now, v.unread = c.fetch(ctx, groups, true)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for name, f := range v.now {
		if len(f.errs) > 0 {
			v.unread[name] = errors.Join(f.errs...)
		}
	}
	return v, nil
}

// current is what a group has committed on the target, or nil.
func (v *view) current(group, topic string, partition int32) *Committed {
	return find(v.now[group].offsets, topic, partition)
}

// find finds a partition in what was fetched, which is sorted.
func find(offsets []Committed, topic string, partition int32) *Committed {
	i, ok := slices.BinarySearchFunc(offsets, place{topic, partition}, func(c Committed, p place) int {
		return cmp.Or(strings.Compare(c.Topic, p.topic), cmp.Compare(c.Partition, p.partition))
	})
	if !ok {
		return nil
	}
	o := offsets[i]
	return &o
}

// gone says why nothing can be committed for a partition, if so.
func (v *view) gone(topic string, partition int32) (Why, string) {
	t, asked := v.topics[topic]
	switch {
	case !asked || t.err != nil:
		detail := "the target doesn't have the topic"
		if t.err != nil {
			detail += ": " + oneLine(t.err)
		}
		return WhyUnknownTopic, detail
	case partition < 0 || partition >= t.partitions:
		return WhyUnknownPartition, fmt.Sprintf("the target's topic has %d partitions", t.partitions)
	}
	for _, listed := range []kadm.ListedOffsets{v.start, v.end} {
		if o, ok := listed.Lookup(topic, partition); !ok || o.Err != nil {
			detail := "the target's partition couldn't be asked for its start and end"
			if o.Err != nil {
				detail += ": " + oneLine(o.Err)
			}
			return WhyUnread, detail
		}
	}
	return "", ""
}

// bounds are a partition's log start offset and high watermark.
func (v *view) bounds(topic string, partition int32) (start, end int64) {
	s, _ := v.start.Lookup(topic, partition)
	e, _ := v.end.Lookup(topic, partition)
	return s.Offset, e.Offset
}
