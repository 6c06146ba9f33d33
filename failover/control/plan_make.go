package control

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
)

// lagWait bounds asking the [Replication] for its lag beside the looks at clusters.
const lagWait = 2 * time.Second

// Plan says what a switch to a cluster would do; it changes nothing. An empty name is the
// standby's. What is in the way is in the plan, not an error.
//
// A switch that is under way already, because its controller died, is finished by a plan to its
// target and given up by a plan to the cluster it came from.
//
// Errors: the register's, of which a [register.NoScopeError] says that nobody has begun the scope,
// and the context's.
func (c *Controller) Plan(ctx context.Context, to string, how How) (*Plan, error) {
	return c.plan(ctx, to, how, time.Time{})
}

// plan is Plan; down is since when a controller's probes say that the active cluster is, which
// isn't looked at then.
func (c *Controller) plan(ctx context.Context, to string, how How, down time.Time) (*Plan, error) {
	p := &Plan{
		Scope: c.cfg.Scope, To: to, How: how, Reason: c.cfg.Reason, At: time.Now(), Topics: map[string]int{}, Steps: []PlannedStep{}, Warnings: []string{}, Conflicts: []Conflict{},
		c: c, down: down, hasty: !down.IsZero(),
	}
	if how != Failover && how != Switchover {
		return nil, &failover.ConfigError{Job: "failover", Errs: []error{fmt.Errorf("a switch is forced or planned, not %q", how)}}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Switch.Deadlines.Check, errDeadline)
	defer cancel()
	if err := p.read(ctx); err != nil {
		return nil, fmt.Errorf("failover: plan: %w", err)
	}
	if p.direction() {
		if err := p.tail(ctx); err != nil { // before the looks: a cluster that hangs takes all the time there is
			return nil, fmt.Errorf("failover: plan: register: %w", err)
		}
		p.look(ctx)
	}
	p.steps()
	p.took = time.Since(p.At)
	return p, nil
}

// read finds out where the scope is.
func (p *Plan) read(ctx context.Context) error {
	last, err := register.Active(ctx, p.c.cfg.Register, p.Scope)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	p.last, p.Epoch, p.seen = last, last.Number, p.c.follow(last, time.Now())
	if p.open = last; last.Closing() {
		if p.open, err = p.c.cfg.Register.Get(ctx, p.Scope, last.Number-1); err != nil {
			return fmt.Errorf("register: %w", err)
		}
	}
	if p.wait, err = register.Waited(ctx, p.c.cfg.Register, last); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	p.wait = cmp.Or(p.wait, p.c.cfg.Lease)
	for _, d := range differs(&p.c.cfg, p.open) {
		p.warn("%s", d)
	}
	return nil
}

// differs says where a configuration isn't what the scope's register says, which holds.
func differs(cfg *Config, e register.Epoch) []string {
	var all []string
	if e.Lease != 0 && e.Lease != cfg.Lease {
		all = append(all, fmt.Sprintf("the scope's lease is %v by its register, which holds; configured is %v", e.Lease, cfg.Lease))
	}
	for _, c := range cfg.Clusters {
		switch id := e.ID(c.Name); {
		case !e.Has(c.Name):
			all = append(all, fmt.Sprintf("%s isn't one of the scope's clusters by its register, which holds", c.Name))
		case id != "" && c.ID != "" && id != c.ID:
			all = append(all, fmt.Sprintf("the ID of %s is %s by the register, which holds; configured is %s", c.Name, id, c.ID))
		}
	}
	for _, m := range e.Clusters {
		if !slices.ContainsFunc(cfg.Clusters, func(c failover.Cluster) bool { return c.Name == m.Name }) {
			all = append(all, fmt.Sprintf("%s, one of the scope's clusters by its register, isn't configured", m.Name))
		}
	}
	return all
}

// direction says whether there is anything to look at.
func (p *Plan) direction() bool {
	p.From = cmp.Or(p.last.Active, p.last.From)
	if p.last.Closing() {
		resumes := p.last
		p.Resumes, p.ID, p.GiveUp = &resumes, resumes.Switch, p.To == resumes.From
		p.To = cmp.Or(p.To, resumes.Target)
		if resumes.Stays && !p.GiveUp {
			p.conflict(ConflictSwitching, "", "%s changes the scope's values since %s: finish that, or go back to %s, first", resumes.By, resumes.At.Format(time.RFC3339), resumes.From)
		}
		if p.To != resumes.Target && !p.GiveUp {
			p.conflict(ConflictSwitching, "", "the switch from %s to %s that %s began at %s is under way: finish it or give it up first", resumes.From, resumes.Target, resumes.By,
				resumes.At.Format(time.RFC3339))
		}
	} else {
		p.ID, p.To = rand.Text(), cmp.Or(p.To, p.c.cfg.Standby(p.From))
		if p.To == p.From {
			p.conflict(ConflictActive, "", "%s is active already, since epoch %d", p.To, p.Epoch)
		}
	}
	for _, name := range []string{p.From, p.To} {
		if _, ok := p.c.cluster(name); !ok {
			p.conflict(ConflictUnknownCluster, "", "%q isn't one of the configured clusters", name)
		} else if !p.open.Has(name) {
			p.conflict(ConflictUnknownCluster, "", "%s isn't one of the scope's clusters by its register (register.Change adds it)", name)
		}
	}
	return len(p.Conflicts) == 0
}

// look looks at both clusters and the copy at once.
func (p *Plan) look(ctx context.Context) {
	if p.How == Switchover && p.c.cfg.Switch.Replication == nil && !p.GiveUp {
		p.conflict(ConflictReplication, "", "a planned switch drains the copy between the clusters, and there is none: Replication")
	}
	var from, to *clusterView
	var fromErr, toErr error
	var wg sync.WaitGroup
	wg.Go(func() { to, toErr = p.c.view(ctx, p.To) })
	if !p.hasty && !p.GiveUp {
		wg.Go(func() { from, fromErr = p.c.view(ctx, p.From) })
	}
	if !p.GiveUp {
		wg.Go(func() { p.lag(ctx) })
	}
	wg.Wait()
	p.answers = from != nil
	switch {
	case errors.Is(toErr, errOtherCluster):
		p.conflict(ConflictClusterID, "", "%s: %v", p.To, toErr)
	case toErr != nil:
		p.conflict(ConflictUnreachable, "", "%s: %v", p.To, toErr)
	}
	switch {
	case errors.Is(fromErr, errOtherCluster) && p.How == Switchover:
		p.conflict(ConflictClusterID, "", "%s: %v", p.From, fromErr)
	case errors.Is(fromErr, errOtherCluster): // a stranger is neither asked nor fenced
		p.warn("%s is away: at its address %v", p.From, fromErr)
	case fromErr != nil && p.How == Switchover:
		p.conflict(ConflictUnreachable, "", "%s, which is to be drained: %v", p.From, fromErr)
	case fromErr != nil:
		p.warn("%s doesn't answer: %v", p.From, fromErr)
	case from != nil && to != nil && from.id == to.id:
		p.conflict(ConflictClusterID, "", "%s and %s are the same cluster, %s", p.From, p.To, to.id)
	}
	p.topics(from, to)
	p.budget()
}

// view looks at a cluster and checks that it is the right one.
func (c *Controller) view(ctx context.Context, name string) (*clusterView, error) {
	cl, _ := c.cluster(name)
	v, err := c.cfg.tuning.access.look(ctx, cl)
	if err != nil {
		return nil, err
	}
	if cl.ID != "" && cl.ID != v.id {
		return nil, fmt.Errorf("%w: its ID is %s, not %s", errOtherCluster, v.id, cl.ID)
	}
	c.remember(name, v)
	return v, nil
}

// topics compares what the clusters have.
func (p *Plan) topics(from, to *clusterView) {
	if p.source = p.c.remembered(p.From); from == nil {
		p.absentSource()
	}
	if to == nil {
		return
	}
	if id := p.last.ActiveID; p.GiveUp && id != "" && id != to.id {
		p.conflict(ConflictClusterID, "", "%s is %s, and was %s", p.To, to.id, id)
	}
	p.Topics = to.scope(p.c.sel)
	for _, topic := range slices.Sorted(maps.Keys(p.source)) {
		name := p.c.cfg.Switch.Rename(p.From, p.To, topic)
		t, ok := to.topics[name]
		switch want := p.source[topic]; {
		case p.GiveUp:
		case !ok:
			p.conflict(ConflictTopic, name, "%s hasn't got it", p.To)
		case t.partitions < want:
			p.conflict(ConflictTopic, name, "%s has %d partitions of it, %s %d", p.To, t.partitions, p.From, want)
		}
		if ok {
			p.Topics[name] = t.partitions
		}
	}
	if !p.GiveUp {
		p.fit(to)
	}
}

// fit says whether the target's topics can be written.
func (p *Plan) fit(to *clusterView) {
	var denied []string
	for _, name := range slices.Sorted(maps.Keys(p.Topics)) {
		t := to.topics[name]
		if t.offline > 0 {
			p.conflict(ConflictOffline, name, "%d of its partitions have no leader on %s", t.offline, p.To)
		}
		if t.denied {
			denied = append(denied, name)
		}
	}
	switch sw := &p.c.cfg.Switch; {
	case len(denied) == 0:
	case sw.Rights == nil && sw.Fence == nil:
		p.conflict(ConflictRights, "", "%s doesn't let the client write to %s", p.To, some(denied))
	default:
		p.warn("%s doesn't let the client write to %s yet", p.To, some(denied))
	}
	if len(p.Topics) == 0 {
		p.warn("no topic of %s is the scope's", p.To)
	}
}

// absentSource takes what was known of From's topics: from an earlier look, or from the epoch that
// made it active.
func (p *Plan) absentSource() {
	if p.source != nil || p.GiveUp {
		return
	}
	if p.last.Active == p.From && len(p.last.Forks) > 0 {
		p.source = map[string]int{}
		for _, f := range p.last.Forks {
			p.source[f.Topic] = max(p.source[f.Topic], int(f.Partition)+1)
		}
		return
	}
	p.warn("which topics %s has isn't known: that %s lacks none can't be checked", p.From, p.To)
}

// lag asks the copy.
func (p *Plan) lag(ctx context.Context) {
	sw := &p.c.cfg.Switch
	if sw.Replication == nil {
		return
	}
	lag, err := bounded(ctx, lagWait, func(ctx context.Context) (Lag, error) { return sw.Replication.Lag(ctx, p.From, p.To) })
	if err != nil {
		lag = Lag{}
	}
	p.Lag = &lag
}

// budget holds the lag against the budget. A planned switch loses nothing, whatever the lag is now.
func (p *Plan) budget() {
	b := p.c.cfg.Switch.Budget
	if p.GiveUp {
		return
	}
	if p.Lag != nil && p.How == Failover && p.Lag.At.IsZero() && b == nil {
		p.warn("what %s lacks isn't known", p.To)
	}
	if b == nil || p.How == Switchover {
		return
	}
	lag := Lag{}
	if p.Lag != nil {
		lag = *p.Lag
	}
	if kind, why := b.exceeded(lag, time.Now()); kind != "" {
		p.conflict(kind, "", "%s", why)
	}
}

// tail looks whether the target was left by a forced switch since it last had a whole log: what it
// has beyond that fork, the cluster that is active now has never had.
func (p *Plan) tail(ctx context.Context) error {
	if p.GiveUp || p.Resumes != nil {
		return nil
	}
	opened := p.last // the epoch that opened another cluster than To
	for e := p.last; e.Number > 1; {
		before, err := p.c.cfg.Register.Get(ctx, p.Scope, e.Number-1)
		if err != nil {
			return err
		}
		if before.Active == p.To {
			break
		}
		if e = before; before.Active != "" {
			opened = before
		}
	}
	if opened.Number <= 1 || opened.From != p.To || opened.Planned {
		return nil
	}
	p.left = &opened
	switch sw := &p.c.cfg.Switch; {
	case sw.IgnoreTail:
		p.warn("%s was left by force at epoch %d: what it had beyond that fork isn't kept", p.To, opened.Number)
	case sw.Tail == nil:
		p.conflict(ConflictTail, "", "%s was left by force at epoch %d: what it had beyond that fork is in nobody's hands (Tail keeps it, IgnoreTail lets it go)", p.To, opened.Number)
	}
	return nil
}
