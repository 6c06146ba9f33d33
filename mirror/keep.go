package mirror

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/mirror/internal/instep"
)

// keeper keeps what belongs to the topics in step: configs, ACLs and quotas, side by side, and
// groups in a rhythm of their own.
type keeper struct {
	e       *engine
	configs *instep.Configs
	slow    []named        // each Discover, at least 5 s
	groups  *instep.Groups // nil: left alone

	slowing, grouping sync.Mutex // one at a time

	mu     sync.Mutex
	status GroupStatus
	at     time.Time // of the last whole look at groups
}

type named struct {
	name string
	instep.Syncer
}

func (e *engine) newKeeper() *keeper {
	sides := instep.Sides{Source: e.near, Target: e.far, Ledger: e.ledger, Flow: e.cfg.Name, Prefix: e.cfg.Prefix, ClientID: e.cfg.ClientID}
	k := &keeper{e: e, configs: instep.NewConfigs(sides), status: GroupStatus{AgeMillis: -1}}
	k.slow = append(k.slow, named{"configs", k.configs})
	if !e.cfg.SkipACLs {
		k.slow = append(k.slow, named{"acls", instep.NewACLs(sides, instep.Writes(e.cfg.Writes))})
	}
	if !e.cfg.SkipQuotas {
		k.slow = append(k.slow, named{"quotas", instep.NewQuotas(sides)})
	}
	if !e.cfg.SkipGroups {
		k.groups = instep.NewGroups(instep.GroupsConfig{
			Sides: sides, Only: compiled(e.cfg.Groups), Exclude: compiled(e.cfg.ExcludeGroups), Interval: e.cfg.GroupInterval,
			Gone: instep.Gone(e.cfg.Policies.of(GroupDeleted)), Diverged: diverged(e.cfg.Policies.of(GroupDiverged)),
		})
	}
	return k
}

func diverged(p Policy) instep.Diverged {
	if p == Overwrite {
		return instep.Overwrite
	}
	return instep.LeftAlone
}

// compiled are expressions that were validated, anchored.
func compiled(patterns []string) []*regexp.Regexp {
	var res []*regexp.Regexp
	for _, pattern := range patterns {
		res = append(res, regexp.MustCompile("^(?:"+pattern+")$"))
	}
	return res
}

// created notes topics that are about to be created, held.
func (k *keeper) created(ctx context.Context, targets []string) error {
	if err := k.configs.Created(ctx, targets...); err != nil {
		return fmt.Errorf("target: %w", err)
	}
	return nil
}

// run syncs until the context ends. Offsets don't wait for the configs of thousands of topics.
func (k *keeper) run(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return k.every(gctx, max(k.e.cfg.Discover, time.Second), k.syncSlow) })
	if k.groups != nil {
		g.Go(func() error { return k.every(gctx, k.e.cfg.GroupInterval*9/10, k.syncGroups) })
	}
	return g.Wait()
}

func (k *keeper) every(ctx context.Context, interval time.Duration, sync func(context.Context) error) error {
	var next time.Time
	for {
		if now := time.Now(); !now.Before(next) && k.e.settled() {
			next = now.Add(interval)
			_ = sync(ctx) // said by the hooks; the next time comes
		}
		if err := rawkafka.Sleep(ctx, min(max(time.Until(next), 20*time.Millisecond), 200*time.Millisecond)); err != nil {
			return err
		}
	}
}

// onceFor is how long the end of a Once tries to bring everything in step.
const onceFor = 30 * time.Second

// once syncs all, at the end of a Once. What can't be brought in step for a while is the error.
func (k *keeper) once(ctx context.Context) error {
	patience := k.e.cfg.tuning.inStep
	if patience == 0 {
		patience = onceFor
	}
	steps := []func(context.Context) error{k.syncSlow}
	if k.groups != nil {
		steps = append(steps, k.syncGroups)
	}
	began := time.Now()
	for n := 1; ; n++ {
		errs := atOnce(steps, func(sync func(context.Context) error) error { return sync(ctx) })
		var left []func(context.Context) error
		for i, err := range errs {
			if err != nil {
				left = append(left, steps[i])
			}
		}
		if steps = left; len(steps) == 0 {
			return nil
		}
		if time.Since(began) >= patience {
			return errors.Join(errs...)
		}
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(n)); err != nil {
			return err
		}
	}
}

// close notes what was committed last, so that the next mirror tells its own commits from others'.
// Nothing syncs any more.
func (k *keeper) close(ctx context.Context) {
	if k.groups == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := k.groups.Close(ctx); err != nil {
		k.e.hooks.retry("note groups", err)
	}
}

func (k *keeper) syncSlow(ctx context.Context) error {
	k.slowing.Lock()
	defer k.slowing.Unlock()
	v := k.e.view()
	return errors.Join(atOnce(k.slow, func(s named) error {
		_, err := k.sync(ctx, s, v)
		return err
	})...)
}

// atOnce does all at once, and returns their errors in the same order.
func atOnce[T any](all []T, do func(T) error) []error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, one := range all {
		wg.Go(func() { errs[i] = do(one) })
	}
	wg.Wait()
	return errs
}

func (k *keeper) syncGroups(ctx context.Context) error {
	k.grouping.Lock()
	defer k.grouping.Unlock()
	began := time.Now()
	k.e.settleAll(ctx)
	r, err := k.sync(ctx, named{"groups", k.groups}, k.e.view())
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = began
	k.status = GroupStatus{Groups: r.Groups, Committed: r.Changed, Held: r.Active + r.Diverged}
	if r.Failed > 0 {
		return fmt.Errorf("groups aren't in step: %d offsets, or brokers' groups, failed", r.Failed)
	}
	return nil
}

func (k *keeper) sync(ctx context.Context, s named, v instep.View) (instep.Report, error) {
	r, err := s.Sync(ctx, v)
	for _, ev := range r.Events {
		k.e.hooks.event(Event{
			Time: time.Now(), Kind: EventKind(ev.Kind), Policy: k.e.cfg.Policies.of(EventKind(ev.Kind)), Topic: k.e.sourceOf(ev.Topic), Target: ev.Topic, Group: ev.Group,
			Partition: -1, Offset: -1, Other: -1, Detail: ev.Detail,
		})
	}
	if err != nil {
		if ctx.Err() == nil {
			k.e.hooks.retry("sync "+s.name, err)
		}
		return r, fmt.Errorf("%s aren't in step: %w", s.name, err)
	}
	return r, nil
}

// groupStatus is where the groups stand.
func (k *keeper) groupStatus(now time.Time) GroupStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.status
	if s.AgeMillis = -1; !k.at.IsZero() {
		s.AgeMillis = now.Sub(k.at).Milliseconds()
	}
	return s
}

// settled says that every topic was looked at once: before, a View would lack some.
func (e *engine) settled() bool {
	if !e.agenda.isWhole() {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.parts {
		if p.state() == Opening && !p.Fails() {
			return false
		}
	}
	return true
}

// sourceOf is the source's name of a copy.
func (e *engine) sourceOf(target string) string {
	if len(target) < len(e.cfg.Prefix) {
		return ""
	}
	return target[len(e.cfg.Prefix):]
}

// view is what the mirror knows of its topics.
func (e *engine) view() instep.View {
	e.mu.Lock()
	defer e.mu.Unlock()
	var v instep.View
	for _, t := range e.topics {
		if t.parts == nil {
			continue
		}
		vt := instep.Topic{Source: t.source, SourceID: t.sourceID, Target: t.target, TargetID: t.targetID, ReplicationFactor: t.rf, Ready: true}
		for _, p := range t.parts {
			p.reached()
			stopped := p.state() == Stopped || p.state() == Opening
			vt.Partitions = append(vt.Partitions, instep.Partition{LogStart: p.standbyStart, Durable: p.copy.Durable(), Stopped: stopped})
			vt.Ready = vt.Ready && p.fill < 0 && p.standbyStart >= 0 && (p.caught || p.gone())
		}
		v.Topics = append(v.Topics, vt)
	}
	return v
}
