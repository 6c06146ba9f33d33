package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
)

// Run switches. The report is there whatever happens; the error is
//   - a *[RefusedError], before any effect, where the plan has conflicts, or the register has gone on since;
//   - a *[VetoError] where a step stopped the switch: before the closing epoch nothing was changed, after it the switch was given up, and From is active again;
//   - a *[ClosedError] where it couldn't be given up either, or the context has ended: the scope stays closed;
//   - an *[OvertakenError] where another controller was first.
//
// A controller runs one plan at a time; others wait.
func (p *Plan) Run(ctx context.Context) (*Report, error) {
	r := &run{p: p, c: p.c, sw: &p.c.cfg.Switch, report: newReport(p), last: p.last, closedAt: p.seen, looked: p.At, planned: p.At, began: time.Now()}
	var err error
	select {
	case p.c.busy <- struct{}{}:
		err = r.run(ctx)
		<-p.c.busy
	case <-ctx.Done():
		err = &VetoError{StepCheck, context.Cause(ctx)}
	}
	r.report.finish(err)
	if h := p.c.cfg.Hooks.OnReport; h != nil && !r.crashed {
		h(r.report)
	}
	r.log(err)
	return r.report, err
}

// run is a plan that is carried out.
type run struct {
	p      *Plan
	c      *Controller
	sw     *SwitchConfig
	report *Report
	// last is the newest epoch that is known; looked is when it was last found to be that.
	last   register.Epoch
	looked time.Time
	// planned is when the clusters were last looked at.
	planned time.Time
	// closedAt is when the closing epoch was there for certain.
	closedAt time.Time
	// began is since when the switch is this controller's.
	began   time.Time
	fenced  bool
	stopped bool
	crashed bool
}

func (r *run) run(ctx context.Context) error {
	if err := r.admit(ctx); err != nil {
		return err
	}
	if r.p.GiveUp {
		return r.back(ctx, nil)
	}
	if err := r.saveTail(ctx); err != nil {
		return err
	}
	if r.p.Resumes == nil {
		if err := r.again(ctx); err != nil {
			return err
		}
		if err := r.close(ctx); err != nil {
			return err
		}
	}
	if err := r.carry(ctx); err != nil {
		return r.back(ctx, err)
	}
	return r.open(ctx)
}

// fresh is how long a plan is believed.
const fresh = 5 * time.Second

// admit refuses plans with conflicts.
func (r *run) admit(ctx context.Context) error {
	if len(r.p.Conflicts) > 0 {
		return &RefusedError{Job: "failover", Conflicts: r.p.Conflicts}
	}
	return r.again(ctx)
}

// again looks once more where the plan is older than a moment: because its owner thought about it,
// the tail took its time, or the machine was suspended.
func (r *run) again(ctx context.Context) error {
	if elapsed(r.planned) < fresh {
		return nil
	}
	if r.p.hasty && !r.c.is(r.p.From, probe.Down) {
		return &RefusedError{Job: "failover", Conflicts: []Conflict{conflictOf(ConflictRecovered, "", r.p.From+" isn't down any more")}}
	}
	again, err := r.c.plan(ctx, r.p.To, r.p.How, r.p.down)
	switch {
	case err != nil:
		return &VetoError{StepCheck, err}
	case again.Epoch != r.p.Epoch:
		again.Conflicts = []Conflict{conflictOf(ConflictMoved, "", fmt.Sprintf("the register is at epoch %d, and was at %d when the plan was made", again.Epoch, r.p.Epoch))}
		fallthrough
	case len(again.Conflicts) > 0:
		return &RefusedError{Job: "failover", Conflicts: again.Conflicts}
	}
	r.p.Topics, r.p.source, r.p.Lag, r.p.answers = again.Topics, again.source, again.Lag, again.answers
	r.report.RPO, r.looked, r.planned = again.Lag, again.At, again.At
	return nil
}

// carry does the steps between the epochs.
func (r *run) carry(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, max(r.sw.longest(r.p.wait)-r.sw.Deadlines.GiveUp-r.sw.Deadlines.Open, 0), errDeadline)
	defer cancel()
	for _, s := range []struct {
		step Step
		do   func(context.Context) (result, error)
	}{
		{StepFence, r.fence}, {StepLease, r.lease}, {StepDrain, r.drain}, {StepStop, r.stop}, {StepRefill, r.refill},
		{StepForks, r.forks}, {StepOffsets, r.offsets}, {StepRights, r.rights},
	} {
		if err := r.still(ctx); err != nil {
			return err
		}
		if err := r.step(ctx, s.step, s.do); err != nil {
			return err
		}
	}
	return r.still(ctx) // others that have taken it up since may have appended behind the forks
}

// result is what a step says of itself.
type result struct {
	outcome Outcome
	detail  string
}

var (
	done    = result{outcome: OutcomeDone}
	skipped = result{outcome: OutcomeSkipped}
)

// step does one and notes it.
func (r *run) step(ctx context.Context, step Step, do func(context.Context) (result, error)) error {
	start := time.Now()
	res, err := do(ctx)
	if err != nil {
		res.outcome, res.detail = OutcomeFailed, err.Error()
		var overtaken *OvertakenError
		if !errors.As(err, &overtaken) {
			err = &VetoError{step, err}
		}
	}
	phase := Phase{step, start, inMillis(time.Since(start)), res.outcome, res.detail}
	r.report.Phases = append(r.report.Phases, phase)
	r.c.cfg.Logger.Debug("failover: step", "scope", r.p.Scope, "switch", r.p.ID, "step", step, "ms", phase.Millis, "outcome", phase.Outcome, "detail", phase.Detail)
	if h := r.c.cfg.Hooks.OnPhase; h != nil {
		h(phase)
	}
	if after := r.c.cfg.tuning.after; after != nil {
		if crash := after(step); crash != nil {
			r.crashed = true
			return crash
		}
	}
	return err
}

// recheck is how long the register isn't asked again whether the switch is still this controller's:
// others wait much longer before they take it up.
const recheck = time.Second

// still finds out whether another controller has finished the switch or given it up meanwhile.
// Whoever closed goes on where the register doesn't answer: others leave the switch to it for
// longer than it may take, and the next epoch's creation decides. Whoever took it up may not be the
// only one.
func (r *run) still(ctx context.Context) error {
	if elapsed(r.began) > r.sw.longest(r.p.wait) {
		return errTooLong
	}
	if elapsed(r.looked) < recheck {
		return nil
	}
	at := time.Now()
	next, err := bounded(ctx, recheck, func(ctx context.Context) (register.Epoch, error) { return register.Next(ctx, r.c.cfg.Register, r.last) })
	switch {
	case err == nil:
		return &OvertakenError{Epoch: next}
	case errors.Is(err, register.ErrNoEpoch):
		r.looked = at
	case r.p.Resumes != nil:
		return fmt.Errorf("is the switch still under way: register: %w", err)
	}
	return nil
}

var errTooLong = errors.New("it has taken longer than others wait for it, as where the machine was suspended")

// names are the target's topics.
func (r *run) names() []string { return slices.Sorted(maps.Keys(r.p.Topics)) }

// request says what is fenced on a cluster.
func (r *run) request(cluster string, topics map[string]int) FenceRequest {
	cl, _ := r.c.cluster(cluster)
	return FenceRequest{Scope: r.p.Scope, Cluster: cl, Topics: slices.Sorted(maps.Keys(topics))}
}

func (r *run) log(err error) {
	attrs := []any{"scope", r.p.Scope, "switch", r.p.ID, "from", r.p.From, "to", r.p.To, "how", r.p.How, "end", r.report.End}
	if err != nil {
		r.c.cfg.Logger.Error("failover: switch", append(attrs, "err", err)...)
		return
	}
	r.c.cfg.Logger.Info("failover: switch", append(attrs, "rto_ms", r.report.RTOMillis)...)
}
