package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/mirror"
)

// mirrorFollower is a mirror that follows a scope's register. It copies while its source is the
// active cluster and that can be confirmed within the lease. At a closing epoch that leaves its
// source it stops, after draining it where the switch is planned, and takes its flow back. Where
// the switch is given up, it goes on; where it isn't, it ends.
type mirrorFollower struct {
	s        *switching
	from, to string
	config   mirror.Config
	now      atomic.Pointer[mirror.Mirror]

	last      register.Epoch
	confirmed time.Time // when the last read that found last to be the newest began
}

// Status is the running mirror's.
func (f *mirrorFollower) Status() mirror.Status {
	if m := f.now.Load(); m != nil {
		return m.Status()
	}
	return mirror.Status{Flow: f.config.Name}
}

// follow returns nil when another cluster has become active.
func (f *mirrorFollower) follow(ctx context.Context) error {
	last, err := register.Active(ctx, f.s.register, f.s.file.Scope)
	if err != nil {
		return err
	}
	f.last, f.confirmed = last, time.Now()
	for mirrored := false; ; {
		switch {
		case f.last.Closing() || f.expired():
			if err := f.wait(ctx); err != nil {
				return err
			}
			continue
		case f.s.file.active(f.last) != f.from && mirrored:
			return nil
		case f.s.file.active(f.last) != f.from:
			return &refusedError{text: fmt.Sprintf("%s is active since epoch %d: a mirror from %s would copy what nobody writes any more", f.last.Active, f.last.Number, f.from)}
		}
		if f.last.Number > 1 {
			if err := f.reverse(ctx); err != nil {
				return err
			}
		}
		mirrored = true
		if err := f.mirrorOnce(ctx); err != nil {
			return err
		}
	}
}

// reverse makes copies at the source, from the time when it was the standby, its own.
func (f *mirrorFollower) reverse(ctx context.Context) error {
	topics, err := mirror.Reverse(ctx, f.s.mirror.between(f.to, f.from))
	if err == nil && len(topics) > 0 {
		f.s.a.log.Info("copies at the source are its own from now on", "cluster", f.from, "topics", len(topics))
	}
	return err
}

// wait waits until the register says that a cluster is active.
func (f *mirrorFollower) wait(ctx context.Context) error {
	for {
		if err := f.look(ctx); err != nil || !f.last.Closing() && !f.expired() {
			return err
		}
		if err := sleep(ctx, f.every()); err != nil {
			return err
		}
	}
}

func (f *mirrorFollower) every() time.Duration { return time.Duration(f.s.file.Lease) / 5 }

// look asks for the next epoch once. What the register doesn't say isn't an error, unless ctx has
// ended.
func (f *mirrorFollower) look(ctx context.Context) error {
	at := time.Now()
	within, cancel := context.WithTimeout(ctx, time.Duration(f.s.file.Lease)/2)
	defer cancel()
	next, err := register.Next(within, f.s.register, f.last)
	switch {
	case err == nil:
		f.last, f.confirmed = next, at
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, register.ErrNoEpoch):
		f.confirmed = at
	default:
		f.s.a.log.Warn("the register doesn't answer", "err", err)
	}
	return nil
}

// expired says that the source isn't known to be active any more, by the wall clock as well, which
// a suspended machine can't stop.
func (f *mirrorFollower) expired() bool {
	return max(time.Since(f.confirmed), time.Now().Round(0).Sub(f.confirmed.Round(0))) > time.Duration(f.s.file.Lease)
}

// mirrorOnce mirrors until the register says something else, which is no error.
func (f *mirrorFollower) mirrorOnce(ctx context.Context) error {
	m, err := mirror.New(f.config)
	if err != nil {
		return err
	}
	f.now.Store(m)
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended := make(chan error, 1)
	go func() { ended <- f.s.a.runMirror(running, m, stopFor(time.Duration(f.s.file.Lease))) }()
	leaving, watchErr := f.watch(ctx, m, ended)
	if watchErr == nil {
		stop(errLeave)
		watchErr = <-ended
		if errors.Is(watchErr, errLeave) {
			watchErr = nil
		}
	}
	if watchErr != nil || !leaving {
		return watchErr
	}
	return f.retire(ctx, m.Status().SourceCluster)
}

// errLeave ends a mirror that the register has called off.
var errLeave = errors.New("the register says that another cluster is to be active")

// watch returns nil when the mirror is to be stopped, and whether its flow is to be retired then;
// or, with an error, how the mirror or the context has ended.
func (f *mirrorFollower) watch(ctx context.Context, m *mirror.Mirror, ended chan error) (leaving bool, err error) {
	for {
		select {
		case err := <-ended:
			if err == nil {
				err = errors.New("the mirror has ended by itself")
			}
			return false, err
		case <-time.After(f.every()):
		}
		if ctx.Err() != nil {
			return false, <-ended
		}
		if err := f.look(ctx); err != nil {
			return false, <-ended
		}
		switch {
		case f.last.Closing() && f.last.From == f.from:
			return true, f.drain(ctx, m, ended)
		case f.s.file.active(f.last) != f.from:
			return true, nil
		case f.expired():
			f.s.a.log.Warn("that the source is active can't be confirmed: the mirror stops until it can", "lease", time.Duration(f.s.file.Lease))
			return false, nil
		}
	}
}

// drain lets a mirror go on in a planned switch until no client may write to the source any more
// and all of it is on the standby; or until the switch has an end, or somebody has retired the
// flow. It returns when the mirror is to be stopped.
func (f *mirrorFollower) drain(ctx context.Context, m *mirror.Mirror, ended chan error) error {
	f.s.a.log.Info("a switch leaves the source", "epoch", f.last.Number, "to", f.last.Target, "planned", f.last.Planned)
	closed, seen := f.last, time.Now()
	for closed.Planned {
		lease := time.Duration(f.s.file.Lease)
		if over := seen.Add(lease + lease/1000); time.Now().After(over) && drained(m.Status(), time.Since(over)) {
			return nil
		}
		select {
		case err := <-ended:
			return errors.Join(errors.New("the mirror has ended before its source was drained"), err)
		case <-time.After(poll):
		}
		if err := f.look(ctx); err != nil {
			return <-ended
		}
		if f.last.Number != closed.Number {
			return nil
		}
		flows, err := f.s.mirror.flows(ctx, f.from, f.to)
		if err == nil && len(flows) == 0 {
			return nil
		}
	}
	return nil
}

// drained says that nothing is missing, and that groups were looked at since the source was quiet.
func drained(s mirror.Status, quiet time.Duration) bool {
	return s.RPO.Records == 0 && s.RPO.Unknown == 0 && s.LagRecords == 0 && s.Opening == 0 &&
		(s.Groups.AgeMillis < 0 || time.Duration(s.Groups.AgeMillis)*time.Millisecond < quiet)
}

// retire takes the flow back: others wait for that. It is tried for as long as the switch is under
// way.
func (f *mirrorFollower) retire(ctx context.Context, source string) error {
	for {
		err := mirror.RetireFrom(ctx, f.config, source)
		if err == nil || errors.Is(err, mirror.ErrNoFlow) {
			f.s.a.log.Info("the mirror has stopped, and its flow is retired", "epoch", f.last.Number)
			return nil
		}
		f.s.a.log.Warn("the flow can't be retired yet", "err", err)
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
		if err := f.look(ctx); err != nil || !f.last.Closing() {
			return err
		}
	}
}

// sleep returns the context's cause where that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
