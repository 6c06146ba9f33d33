package offsets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/quote"
)

// RollbackConfig says how a plan's application is taken back.
type RollbackConfig struct {
	// Force also takes back what others have committed since the plan was applied. Default: it is
	// refused.
	Force bool
	// DryRun looks and changes nothing: the Result says what would be.
	DryRun bool
	// SkipRefused takes back the rest where something is in the way. Default: nothing is changed
	// then.
	SkipRefused bool
	// RetryFor is how long moved coordinators and lost connections are followed without any
	// success. Default 1 min.
	RetryFor time.Duration
	// OnRetry is called before something is asked again, from several goroutines.
	OnRetry func(op string, err error)
	// OnProgress is called with how many groups are done, never by two goroutines at once.
	OnProgress func(done, total int)
}

// Rollback restores what was committed before a plan was applied, in whole or
// in part: offset, leader epoch and metadata; where nothing was committed, the
// offset is deleted, and a group that wasn't there is deleted with it. A
// group's committing time isn't restored: it expires as if it were fresh.
//
// What is neither as it was before nor as the plan set it has been committed
// by others since, and is refused; so are active groups and topics that were
// created again. Rolling back again is harmless, and mends what a commit that was
// still under way from an application broken off just before has changed since.
//
// Errors: a *[ClusterError], a *[RefusedError] before the first effect; later ones as
// [GroupsPlan.Apply]'s.
func Rollback(ctx context.Context, cl *kgo.Client, before *Before, cfg RollbackConfig) (*Result, error) {
	if before == nil {
		return nil, notGiven("before")
	}
	c := newGroupsClient(cl, cfg.RetryFor, cfg.OnRetry)
	r := &rollback{force: cfg.Force, res: &Result{Refused: []Refusal{}, Raised: []Refusal{}}}
	topics, names := map[string]bool{}, []string{}
	seen := map[string]bool{}
	for _, g := range before.Groups {
		if seen[g.Group] {
			return nil, &ConfigError{Job: "offsets", Errs: []error{fmt.Errorf("group %s is in it twice", quote.Name(g.Group))}}
		}
		seen[g.Group] = true
		names = append(names, g.Group)
		for _, o := range g.Offsets {
			topics[o.Set.Topic] = true
		}
	}
	v, err := c.view(ctx, topics, names)
	if err != nil {
		return nil, fmt.Errorf("offsets: roll back: %w", err)
	}
	if v.clusterID != before.ClusterID {
		return nil, &ClusterError{Want: before.ClusterID, Have: v.clusterID}
	}
	var changes []groupChange
	for i := range before.Groups {
		if change, ok := r.group(v, &before.Groups[i]); ok {
			changes = append(changes, change)
		}
	}
	r.res.sort()
	if len(r.res.Refused) > 0 && !cfg.SkipRefused {
		return nil, &RefusedError{Refused: r.res.Refused}
	}
	if cfg.DryRun {
		for _, g := range changes {
			r.res.Groups++
			r.res.Offsets += len(g.lines)
		}
		return r.res, nil
	}
	known := len(r.res.Refused)
	err = c.carryOut(ctx, changes, r.res, cfg.OnProgress)
	if len(r.res.Refused) > known && !cfg.SkipRefused {
		err = errors.Join(err, &RefusedError{Refused: r.res.Refused})
	}
	return r.res, err
}

// rollback makes the changes that take a plan's application back.
type rollback struct {
	force bool
	res   *Result
}

// group makes a group's changes; there are none where all is as before.
func (r *rollback) group(v *view, was *BeforeGroup) (groupChange, bool) {
	change := groupChange{group: was.Group, remove: !was.Existed}
	var refused []Refusal
	for i := range was.Offsets {
		o := &was.Offsets[i]
		l := lineChange{at: o.Set, to: o.Was, from: v.current(was.Group, o.Set.Topic, o.Set.Partition)}
		topic := v.topics[o.Set.Topic]
		switch {
		case l.from.same(o.Was):
			r.res.Kept++
			continue
		case topic.err == nil && topic.id != o.Set.TopicID:
			refused = append(refused, l.refusal(was.Group, WhyRecreated, fmt.Sprintf("the topic's ID is %v, and was %v", topic.id, o.Set.TopicID)))
			continue
		case !l.from.equal(&o.Set) && !r.force:
			refused = append(refused, l.refusal(was.Group, WhyMoved, l.from.text()+" is committed, neither what was there before nor what was set"))
			continue
		}
		change.lines = append(change.lines, l)
	}
	_, there := v.listed[was.Group]
	if len(change.lines) == 0 && (was.Existed || !there) {
		r.res.Refused = append(r.res.Refused, refused...)
		return change, false
	}
	now := GroupPlan{Group: was.Group}
	if v.checkGroup(&now); now.Do != "" {
		r.res.Refused = append(r.res.Refused, Refusal{Group: was.Group, Partition: -1, Offset: -1, Why: now.Why, Detail: now.Detail})
		return change, false
	}
	r.res.Refused = append(r.res.Refused, refused...)
	change.remove = change.remove && len(refused) == 0
	return change, true
}
