package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// close writes the closing epoch. When it returns nil, no client confirms the old epoch any more,
// and those that have are bound by their leases.
func (r *run) close(ctx context.Context) error {
	return r.step(ctx, StepClose, func(ctx context.Context) (result, error) {
		next := register.Epoch{
			From: r.p.From, Target: r.p.To, Switch: r.p.ID, Planned: r.p.How == Switchover, By: r.c.cfg.Name, Reason: r.p.Reason, At: time.Now(),
			Lease: r.p.wait, Clusters: r.c.clusters(r.last),
		}
		written, err := bounded(ctx, r.sw.Deadlines.Close, func(ctx context.Context) (register.Epoch, error) {
			return r.advance(ctx, r.last, next)
		})
		if err != nil {
			r.unclear(err)
			return result{}, err
		}
		r.closedAt = r.c.follow(written, time.Now())
		r.last, r.looked, r.began, r.report.Closed = written, r.closedAt, r.closedAt, written.Number
		return result{OutcomeDone, fmt.Sprintf("epoch %d", written.Number)}, nil
	})
}

// advance writes an epoch, and tries again for as long as the register doesn't say what is there.
func (r *run) advance(ctx context.Context, prev, next register.Epoch) (register.Epoch, error) {
	for n := 0; ; n++ {
		written, err := register.Advance(ctx, r.c.cfg.Register, prev, next)
		var conflict *register.ConflictError
		var invalid *register.InvalidError
		switch {
		case err == nil:
			return written, nil
		case errors.As(err, &conflict):
			return register.Epoch{}, &OvertakenError{Epoch: conflict.Epoch}
		case errors.As(err, &invalid):
			return register.Epoch{}, err
		}
		if h := r.c.cfg.Hooks.OnRetry; h != nil {
			h("write epoch", err)
		}
		if slept := rawkafka.Sleep(ctx, min(rawkafka.Backoff(n), time.Second)); slept != nil {
			return register.Epoch{}, fmt.Errorf("register: %w", errors.Join(err, slept))
		}
	}
}

// unclear notes that an epoch may have been written: of every error of the register but a refusal.
func (r *run) unclear(err error) {
	var overtaken *OvertakenError
	var invalid *register.InvalidError
	if !errors.As(err, &overtaken) && !errors.As(err, &invalid) {
		r.report.End = EndUnclear
	}
}

// open writes the opening epoch. An error doesn't say that it isn't there, so nothing is taken back
// then.
func (r *run) open(ctx context.Context) error {
	err := r.step(ctx, StepOpen, func(ctx context.Context) (result, error) {
		next := r.opening(r.p.To)
		next.Planned, next.Forks = r.p.How == Switchover, r.report.Forks
		return r.write(ctx, next)
	})
	var overtaken *OvertakenError
	switch {
	case err == nil:
		r.report.End = EndSwitched
	case r.crashed:
	case errors.As(err, &overtaken):
		return r.undo(ctx, overtaken)
	default:
		r.unclear(err)
		return &ClosedError{Epoch: r.last, Err: err}
	}
	return err
}

func (r *run) opening(active string) register.Epoch {
	e := register.Epoch{
		Active: active, From: r.last.From, Target: r.last.Target, Switch: r.last.Switch, Stays: r.last.Stays, Lease: r.c.leaseOf(r.p.open),
		Clusters: r.c.clusters(r.last), By: r.c.cfg.Name, Reason: r.p.Reason, At: time.Now(),
	}
	e.ActiveID = e.ID(active)
	return e
}

func (r *run) write(ctx context.Context, next register.Epoch) (result, error) {
	written, err := bounded(ctx, r.sw.Deadlines.Open, func(ctx context.Context) (register.Epoch, error) { return r.advance(ctx, r.last, next) })
	if err != nil {
		return result{}, err
	}
	at := r.c.follow(written, time.Now())
	r.report.Opened, r.report.ClosedMillis = written.Number, inMillis(at.Sub(r.closedAt))
	return result{OutcomeDone, fmt.Sprintf("epoch %d: %s", written.Number, written.Active)}, nil
}

// back gives the switch up, where the cluster it came from answers. cause is nil where that is what
// was asked for.
func (r *run) back(ctx context.Context, cause error) error {
	var overtaken *OvertakenError
	switch {
	case r.crashed:
		return cause
	case errors.As(cause, &overtaken):
		return r.undo(ctx, overtaken)
	case ctx.Err() != nil:
		return &ClosedError{Epoch: r.last, Err: cause}
	}
	r.report.End = ""
	err := r.step(ctx, StepGiveUp, r.giveUp)
	switch {
	case r.crashed:
		return err
	case errors.As(err, &overtaken):
		return overtaken
	case err != nil && cause == nil:
		return &ClosedError{Epoch: r.last, Err: err}
	case err != nil:
		return &ClosedError{Epoch: r.last, Err: cause, GiveUp: err}
	}
	r.report.End = EndGivenUp
	return cause
}

// giveUp makes the cluster active again that was: it is looked at, its fence lifted, the epoch
// written. Its logs haven't forked, so the epoch has no forks.
func (r *run) giveUp(ctx context.Context) (result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.sw.Deadlines.GiveUp, errDeadline)
	defer cancel()
	if _, err := r.c.view(ctx, r.p.From); err != nil {
		return result{}, fmt.Errorf("%s: %w", r.p.From, err)
	}
	if err := r.lift(ctx, r.p.From, r.c.remembered(r.p.From)); err != nil {
		return result{}, err
	}
	res, err := r.write(ctx, r.opening(r.p.From))
	if err != nil {
		r.unclear(err)
		return res, err
	}
	r.resume(ctx)
	return res, nil
}

// undo takes back what would hinder the winner: where that has gone back to From, the fence and the
// copy's end were for nothing.
func (r *run) undo(ctx context.Context, overtaken *OvertakenError) error {
	if overtaken.Epoch.Active != r.p.From || !r.last.Closing() {
		return overtaken
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.sw.Deadlines.GiveUp, errDeadline)
	defer cancel()
	if r.fenced {
		if err := r.lift(ctx, r.p.From, r.p.source); err != nil {
			return errors.Join(overtaken, err)
		}
	}
	r.resume(ctx)
	return overtaken
}

// resume lets the copy go on where it can.
func (r *run) resume(ctx context.Context) {
	re, ok := r.sw.Replication.(Resumer)
	switch {
	case r.sw.Replication == nil || !r.stopped && r.p.Resumes == nil:
		return
	case !ok:
		r.warn("the copy to %s was stopped and has to be started again", r.p.To)
		return
	}
	err := boundedErr(ctx, r.sw.Deadlines.Stop, func(ctx context.Context) error { return re.Resume(ctx, r.last.From, r.last.Target) })
	if err != nil {
		r.warn("the copy to %s doesn't go on: %v", r.p.To, err)
	}
}

func (r *run) warn(format string, args ...any) {
	r.report.Warnings = append(r.report.Warnings, fmt.Sprintf(format, args...))
}

// lift takes a fence away.
func (r *run) lift(ctx context.Context, cluster string, topics map[string]int) error {
	if r.sw.Fence == nil {
		return nil
	}
	err := boundedErr(ctx, r.sw.Deadlines.Rights, func(ctx context.Context) error { return r.sw.Fence.Lift(ctx, r.request(cluster, topics)) })
	if err != nil {
		return fmt.Errorf("lift the fence of %s: %w", cluster, err)
	}
	return nil
}
