package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// saveTail keeps what To has beyond the fork at which it was left; nothing else has happened yet.
func (r *run) saveTail(ctx context.Context) error {
	if r.p.left == nil || r.sw.Tail == nil {
		return nil
	}
	return r.step(ctx, StepTail, func(ctx context.Context) (result, error) {
		to, _ := r.c.cluster(r.p.To)
		tail, err := bounded(ctx, r.sw.Deadlines.Tail, func(ctx context.Context) (TailResult, error) {
			return r.sw.Tail.SaveTail(ctx, TailRequest{Scope: r.p.Scope, Cluster: to, Left: *r.p.left})
		})
		if err == nil {
			r.report.Tail = &tail
		}
		return done, err
	})
}

// fence is bound by the lease: once that is over, it is for later only.
func (r *run) fence(ctx context.Context) (result, error) {
	if r.sw.Fence == nil {
		return skipped, nil
	}
	if r.p.source == nil {
		return result{OutcomeSkipped, "which topics " + r.p.From + " has isn't known"}, nil
	}
	r.fenced = true
	confirmed, err := bounded(ctx, r.fenceTime(), func(ctx context.Context) (bool, error) {
		return r.sw.Fence.Fence(ctx, r.request(r.p.From, r.p.source))
	})
	switch {
	case errors.Is(err, ErrVeto):
		return result{}, err
	case errors.Is(err, errDeadline), errors.Is(err, errStuck):
		return result{OutcomeLate, err.Error()}, ctx.Err()
	case err != nil:
		return result{OutcomeFailed, err.Error()}, ctx.Err()
	case !confirmed:
		return result{OutcomeDone, "not confirmed"}, nil
	}
	if why := r.missed(ctx); why != "" {
		return result{OutcomeDone, "confirmed, but not of all: " + why}, ctx.Err()
	}
	r.report.FenceConfirmed = true
	return result{OutcomeDone, "confirmed"}, nil
}

// fenceTime is what is left of the lease, and of the deadline.
func (r *run) fenceTime() time.Duration {
	left := leaseWait(r.p.wait) - time.Since(r.closedAt)
	return max(min(r.sw.Deadlines.Fence, left), r.sw.Deadlines.Fence/10)
}

// missed says what of From the fence didn't know of, or nothing: its topics were as they were last
// seen, which may be long ago where it didn't answer since.
func (r *run) missed(ctx context.Context) string {
	v, err := bounded(ctx, r.fenceTime(), func(ctx context.Context) (*clusterView, error) { return r.c.view(ctx, r.p.From) })
	if err != nil {
		return fmt.Sprintf("which topics %s has now isn't known: %v", r.p.From, err)
	}
	now := v.scope(r.c.sel)
	maps.DeleteFunc(now, func(topic string, _ int) bool { _, fenced := r.p.source[topic]; return fenced })
	if len(now) == 0 {
		return ""
	}
	return "new are " + some(slices.Collect(maps.Keys(now)))
}

// lease waits until no client can believe in the old epoch. closedAt is after the closing epoch was
// there, and every lease began before that.
func (r *run) lease(ctx context.Context) (result, error) {
	if r.report.FenceConfirmed {
		return result{OutcomeSkipped, "the brokers refuse writes"}, nil
	}
	start := time.Now()
	left := leaseWait(r.p.wait) - time.Since(r.closedAt)
	if left <= 0 {
		return result{OutcomeSkipped, "it is over"}, nil
	}
	err := rawkafka.Sleep(ctx, left)
	r.report.LeaseMillis = inMillis(time.Since(start))
	return done, err
}

// drain waits for the copy to have everything.
func (r *run) drain(ctx context.Context) (result, error) {
	if r.p.How != Switchover || r.sw.Replication == nil {
		return skipped, nil
	}
	err := boundedErr(ctx, r.sw.Deadlines.Drain, func(ctx context.Context) error { return r.sw.Replication.Drain(ctx, r.p.From, r.p.To) })
	if err == nil {
		r.report.RPO = &Lag{At: time.Now()}
	}
	return done, err
}

// stop ends the copy: the forks are those of a log to which nobody appends.
func (r *run) stop(ctx context.Context) (result, error) {
	if r.sw.Replication == nil {
		return skipped, nil
	}
	r.stopped = true
	return done, boundedErr(ctx, r.sw.Deadlines.Stop, func(ctx context.Context) error { return r.sw.Replication.Stop(ctx, r.p.From, r.p.To) })
}

// refill is no veto, unless it says so or may still be at it.
func (r *run) refill(ctx context.Context) (result, error) {
	if r.sw.Refill == nil || r.p.How == Switchover {
		return skipped, nil
	}
	res, err := bounded(ctx, r.sw.Deadlines.Refill, func(ctx context.Context) (RefillResult, error) { return r.sw.Refill.Refill(ctx, r.p.From, r.p.To) })
	switch {
	case errors.Is(err, ErrVeto), errors.Is(err, errStuck):
		return result{}, err
	case errors.Is(err, errDeadline):
		res.Outcome, res.Detail = OutcomeLate, err.Error()
	case err != nil:
		res.Outcome, res.Detail = OutcomeFailed, err.Error()
	case res.Outcome == "":
		res.Outcome = OutcomeDone
	}
	r.report.Refill = &res
	return result{res.Outcome, fmt.Sprintf("%d records", res.Records)}, ctx.Err()
}

// forks notes where To's logs end, and what it lacks now that nothing is copied any more.
func (r *run) forks(ctx context.Context) (result, error) {
	to, _ := r.c.cluster(r.p.To)
	type ends struct {
		forks []register.Fork
		notes []string
	}
	found, err := bounded(ctx, r.sw.Deadlines.Forks, func(ctx context.Context) (e ends, err error) {
		e.forks, e.notes, err = r.c.cfg.tuning.access.ends(ctx, to, r.names())
		return e, err
	})
	if err != nil {
		return result{}, fmt.Errorf("ends of %s: %w", r.p.To, err)
	}
	r.report.Forks, r.report.Warnings = found.forks, append(r.report.Warnings, found.notes...)
	r.loss(ctx)
	return result{OutcomeDone, fmt.Sprintf("%d partitions", len(found.forks))}, nil
}

// loss asks the copy once more: it may have gone on until it was stopped, and so have producers
// until they were. Where it doesn't say, what the plan saw holds. A copy that may have to ask a
// cluster that is away isn't waited for.
func (r *run) loss(ctx context.Context) {
	if r.sw.Replication == nil || r.p.How == Switchover {
		return
	}
	wait := lagWait / 10
	if r.p.answers {
		wait = lagWait
	}
	lag, err := bounded(ctx, wait, func(ctx context.Context) (Lag, error) { return r.sw.Replication.Lag(ctx, r.p.From, r.p.To) })
	if err == nil && !lag.At.IsZero() {
		r.report.RPO = &lag
	}
	if rpo := r.report.RPO; r.p.answers && (rpo == nil || rpo.At.Before(r.closedAt)) {
		r.warn("what %s lacks is as of before the scope was closed, and producers may have gone on until then (%v)", r.p.To, cmp.Or(err, errNotAnew))
	}
}

var errNotAnew = errors.New("the copy doesn't know it anew")

// offsets takes care of groups.
func (r *run) offsets(ctx context.Context) (result, error) {
	if r.sw.Offsets == nil {
		return skipped, nil
	}
	from, _ := r.c.cluster(r.p.From)
	to, _ := r.c.cluster(r.p.To)
	res, err := bounded(ctx, r.sw.Deadlines.Offsets, func(ctx context.Context) (OffsetsResult, error) {
		return r.sw.Offsets.Carry(ctx, CarryRequest{Scope: r.p.Scope, From: from, To: to, Topics: r.names(), Ends: r.report.Forks})
	})
	if err != nil {
		return result{}, err
	}
	r.report.Offsets = &res
	return result{OutcomeDone, fmt.Sprintf("%d offsets of %d groups", res.Offsets, res.Groups)}, nil
}

// rights lets clients write to To.
func (r *run) rights(ctx context.Context) (result, error) {
	if r.sw.Fence == nil && r.sw.Rights == nil {
		return skipped, nil
	}
	if err := r.lift(ctx, r.p.To, r.p.Topics); err != nil || r.sw.Rights == nil {
		return done, err
	}
	to, _ := r.c.cluster(r.p.To)
	return done, boundedErr(ctx, r.sw.Deadlines.Rights, func(ctx context.Context) error { return r.sw.Rights.Grant(ctx, to, r.names()) })
}
