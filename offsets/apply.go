package offsets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ApplyConfig says how a plan is applied.
type ApplyConfig struct {
	// Required.

	// Save is given what was there, once, before the first commit, and makes it durable: after a
	// crash in the middle it is what [Rollback] needs. If it fails, nothing is committed. It isn't
	// called where nothing is to be committed.
	Save func(*Before) error

	// Optional.

	// SkipRefused applies the rest of a plan where something is in the way. Default: nothing is
	// committed then.
	SkipRefused bool
	// RetryFor is how long moved coordinators and lost connections are followed without any
	// success. Default 1 min.
	RetryFor time.Duration
	// OnRetry is called before something is asked again, from several goroutines.
	OnRetry func(op string, err error)
	// OnProgress is called with how many groups are done, never by two goroutines at once.
	OnProgress func(done, total int)
}

// Result is what was done. It marshals.
type Result struct {
	// Groups and Offsets were changed; Kept offsets were right already.
	Groups  int `json:"groups"`
	Offsets int `json:"offsets"`
	Kept    int `json:"kept"`
	// Refused were not touched, in the order of their names.
	Refused []Refusal `json:"refused"`
	// Raised were committed at the log start, which moved above what the plan has.
	Raised []Refusal `json:"raised"`
}

// Before is what was committed before a plan was applied: plain data that [Rollback] restores.
type Before struct {
	ClusterID string        `json:"cluster_id"`
	At        time.Time     `json:"at"`
	Groups    []BeforeGroup `json:"groups"`
}

// BeforeGroup is a group before a plan was applied.
type BeforeGroup struct {
	Group string `json:"group"`
	// Existed says that the cluster had the group.
	Existed bool           `json:"existed"`
	Offsets []BeforeOffset `json:"offsets"`
}

// BeforeOffset is what was committed for a partition, and what was to be.
type BeforeOffset struct {
	// Was is nil where nothing was committed.
	Was *Committed `json:"was"`
	Set Committed  `json:"set"`
}

// Apply commits what the plan says, with leader epoch -1. Before the first
// commit it looks again at cluster, topics, groups and offsets: a group that has
// become active, an offset that another has committed since, a topic that was
// created again or a partition that has become shorter is refused, by name,
// and then nothing at all is committed unless SkipRefused is set. The same is
// looked at once more right before each group's commit, where others aren't
// held up by it, and brokers themselves refuse an admin's commit to a group
// that has members, whichever its type.
//
// Applying a plan again is harmless: what is committed is kept.
//
// Errors: a *[ConfigError], a *[ClusterError], a *[RefusedError], Save's, all before the first
// effect. Later ones are joined, a *[GroupError] each, and come with a Result: those groups may
// have been changed or not. What was refused after the first effect is in Result.Refused, and a
// *[RefusedError] beside it unless SkipRefused is set.
func (p *GroupsPlan) Apply(ctx context.Context, cl *kgo.Client, cfg ApplyConfig) (*Result, error) {
	if cfg.Save == nil {
		return nil, notGiven("Save")
	}
	c := newGroupsClient(cl, cfg.RetryFor, cfg.OnRetry)
	a := &applier{plan: p, res: &Result{Refused: p.Refused(), Raised: []Refusal{}}}
	if len(a.res.Refused) > 0 && !cfg.SkipRefused {
		return nil, &RefusedError{Refused: a.res.Refused}
	}
	v, err := c.view(ctx, a.topics(), a.groups())
	if err != nil {
		return nil, fmt.Errorf("offsets: apply: %w", err)
	}
	if v.clusterID != p.ClusterID {
		return nil, &ClusterError{Want: p.ClusterID, Have: v.clusterID}
	}
	changes, before := a.check(v)
	a.res.sort()
	if len(a.res.Refused) > 0 && !cfg.SkipRefused {
		return nil, &RefusedError{Refused: a.res.Refused}
	}
	if len(changes) == 0 {
		return a.res, nil
	}
	if err := cfg.Save(before); err != nil {
		return nil, fmt.Errorf("offsets: apply: save what was there: %w", err)
	}
	known := len(a.res.Refused)
	err = c.carryOut(ctx, changes, a.res, cfg.OnProgress)
	if len(a.res.Refused) > known && !cfg.SkipRefused {
		err = errors.Join(err, &RefusedError{Refused: a.res.Refused})
	}
	return a.res, err
}

// applier checks a plan against what is there now.
type applier struct {
	plan *GroupsPlan
	res  *Result
}

// works says whether the plan touches a group.
func (g *GroupPlan) works() bool {
	return g.Do == "" && slices.ContainsFunc(g.Offsets, func(o OffsetPlan) bool { return o.commits() })
}

func (a *applier) topics() map[string]bool {
	topics := map[string]bool{}
	for i := range a.plan.Groups {
		if g := &a.plan.Groups[i]; g.works() {
			for _, o := range g.Offsets {
				if o.commits() {
					topics[o.Topic] = true
				}
			}
		}
	}
	return topics
}

func (a *applier) groups() []string {
	var names []string
	for i := range a.plan.Groups {
		if g := &a.plan.Groups[i]; g.works() {
			names = append(names, g.Group)
		}
	}
	return names
}

// check makes the changes of what is still as the plan saw it.
func (a *applier) check(v *view) ([]groupChange, *Before) {
	before := &Before{ClusterID: v.clusterID, At: time.Now().UTC(), Groups: []BeforeGroup{}}
	var changes []groupChange
	for i := range a.plan.Groups {
		g := &a.plan.Groups[i]
		for n := range g.Offsets {
			if g.Offsets[n].Do == DoKeep {
				a.res.Kept++
			}
		}
		if !g.works() {
			continue
		}
		now := GroupPlan{Group: g.Group}
		if v.checkGroup(&now); now.Do != "" {
			a.res.Refused = append(a.res.Refused, Refusal{Group: g.Group, Partition: -1, Offset: -1, Why: now.Why, Detail: now.Detail})
			continue
		}
		change := groupChange{group: g.Group}
		_, existed := v.listed[g.Group]
		was := BeforeGroup{Group: g.Group, Existed: existed || len(v.now[g.Group].offsets) > 0}
		for n := range g.Offsets {
			if o := g.Offsets[n]; o.commits() && a.checkOffset(v, g.Group, &o) {
				current := v.current(g.Group, o.Topic, o.Partition)
				change.lines = append(change.lines, lineChange{from: current, to: o.committed(), at: Committed{TopicID: o.TopicID, Topic: o.Topic, Partition: o.Partition}})
				was.Offsets = append(was.Offsets, BeforeOffset{Was: current, Set: *o.committed()})
			}
		}
		if len(change.lines) > 0 {
			changes, before.Groups = append(changes, change), append(before.Groups, was)
		}
	}
	return changes, before
}

// checkOffset says whether a line can be carried out, and why not.
func (a *applier) checkOffset(v *view, group string, o *OffsetPlan) bool {
	refuse := func(why Why, format string, args ...any) bool {
		a.res.Refused = append(a.res.Refused, o.refusal(group, why, fmt.Sprintf(format, args...)))
		return false
	}
	if why, detail := v.gone(o.Topic, o.Partition); why != "" {
		return refuse(why, "%s", detail)
	}
	if id := v.topics[o.Topic].id; id != o.TopicID {
		return refuse(WhyRecreated, "the topic's ID is %v, and was %v when the plan was made", id, o.TopicID)
	}
	if slices.Contains(v.now[group].pending, Pending{o.Topic, o.Partition}) {
		return refuse(WhyUnstable, "a transactional commit is under way")
	}
	start, end := v.bounds(o.Topic, o.Partition)
	now := v.current(group, o.Topic, o.Partition)
	switch {
	case now.equal(o.committed()):
		a.res.Kept++
		return false
	case !now.same(o.Current):
		return refuse(WhyMoved, "%s is committed, and %s was when the plan was made", now.text(), o.Current.text())
	case o.Offset > end && !a.plan.AllowPastEnd:
		return refuse(WhyPastEnd, "the partition ends at %d", end)
	case o.Offset < start:
		a.res.Raised = append(a.res.Raised, o.refusal(group, WhyBeforeStart, fmt.Sprintf("the log starts at %d, which is committed", start)))
		o.Offset = start
	}
	return true
}
