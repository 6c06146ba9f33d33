package register

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"time"

	"github.com/kafkadr/kafkadr/internal/clock"
)

// Latest returns the newest epoch of a scope: the next one's absence was read after the call began.
// An error that matches [ErrNoEpoch] says that there is none. It takes about 2·log2(n) Gets;
// whoever knows a recent epoch goes on from it with [Next].
func Latest(ctx context.Context, r Register, scope string) (Epoch, error) {
	e, err := r.Get(ctx, scope, 1)
	if err != nil {
		return Epoch{}, err
	}
	there, absent := int64(1), int64(2)
	for gallop := true; gallop || absent-there > 1; {
		n := absent
		if !gallop {
			n = there + (absent-there)/2
		}
		next, err := r.Get(ctx, scope, n)
		switch {
		case errors.Is(err, ErrNoEpoch):
			gallop, absent = false, n
		case err != nil:
			return Epoch{}, err
		default:
			if e, there = next, n; gallop {
				absent = 2 * n
			}
		}
	}
	return e, nil
}

// Active returns the newest epoch of a scope that has been begun, as [Latest] does. Where it hasn't
// been, the error is a
// *[NoScopeError] that names other scopes of the register, where that is a [Lister].
func Active(ctx context.Context, r Register, scope string) (Epoch, error) {
	e, err := Latest(ctx, r, scope)
	if !errors.Is(err, ErrNoEpoch) {
		return e, err
	}
	none := &NoScopeError{Scope: scope}
	if l, ok := r.(Lister); ok {
		none.Others, _ = l.Scopes(ctx) // a right that readers needn't have
	}
	return Epoch{}, none
}

// Next returns the epoch behind another, in one Get, and an error that matches [ErrNoEpoch] where
// there is none yet. One that mustn't be there ([CheckNext]) is an *[InvalidError].
func Next(ctx context.Context, r Register, after Epoch) (Epoch, error) {
	next, err := r.Get(ctx, after.Scope, after.Number+1)
	if err != nil {
		return Epoch{}, err
	}
	if err := CheckNext(after, next); err != nil {
		return Epoch{}, err
	}
	return next, nil
}

// Advance writes the epoch behind prev and returns it as written: Scope and Number are set, and At
// where it is zero. Errors are an *[InvalidError] where it mustn't follow, before any I/O, and a
// *[ConflictError] with the winner where another is there. After another error that came from the
// store what is there is read: an epoch that was written all the same counts. Where that can't be
// told the first error is returned, and the epoch may be there or come later; the same call may be
// repeated, with At set.
func Advance(ctx context.Context, r Register, prev, next Epoch) (Epoch, error) {
	next.Scope, next.Number = prev.Scope, prev.Number+1
	if next.At.IsZero() {
		next.At = time.Now()
	}
	next.At = next.At.UTC().Round(0)
	if err := CheckNext(prev, next); err != nil {
		return Epoch{}, err
	}
	if err := create(ctx, r, next); err != nil {
		return Epoch{}, err
	}
	return next, nil
}

// create is Create, and settles an error that leaves open what is there.
func create(ctx context.Context, r Register, e Epoch) error {
	err := r.Create(ctx, e)
	var conflict *ConflictError
	var invalid *InvalidError
	if err == nil || errors.As(err, &conflict) || errors.As(err, &invalid) || ctx.Err() != nil {
		return err
	}
	there, readErr := r.Get(ctx, e.Scope, e.Number)
	if readErr != nil {
		return err
	}
	return Conflict(e, there)
}

// Begin begins a scope: an operator's call, which neither clients nor controllers make, so that a
// mistyped scope, prefix or store never becomes another register with another active cluster. It
// returns the newest epoch of a scope; where there is none it writes the first one, whose Scope and
// Number it sets, and At where it is zero. Many may begin at once: all get the same epoch, or a
// later one.
func Begin(ctx context.Context, r Register, scope string, first Epoch) (Epoch, error) {
	first.Scope, first.Number = scope, 1
	if first.At.IsZero() {
		first.At = time.Now()
	}
	first.At = first.At.UTC().Round(0)
	if err := first.check(); err != nil {
		return Epoch{}, err
	}
	e, err := Latest(ctx, r, scope)
	if !errors.Is(err, ErrNoEpoch) {
		return e, err
	}
	err = create(ctx, r, first)
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		return Latest(ctx, r, scope)
	}
	if err != nil {
		return Epoch{}, err
	}
	return first, nil
}

// Change gives a scope other values, an operator's call: the lease and the clusters of values. It
// writes a pair of epochs, closing and opening, back to the same cluster, by and reason being
// values'. A switch waits for the longer lease of the last two epochs in which a cluster was
// active: so where these differ Change waits for the longer one first. A Change whose writer died
// is finished by another. It returns the opening epoch; where somebody else has switched meanwhile,
// a *[ConflictError].
func Change(ctx context.Context, r Register, last Epoch, values Epoch) (Epoch, error) {
	if last.Closing() && last.Stays { // its writer died
		return Advance(ctx, r, last, reopening(last, values))
	}
	if last.Closing() {
		return Epoch{}, last.invalid("a switch is under way: %s", last.Switch)
	}
	waited, err := Waited(ctx, r, last)
	if err != nil {
		return Epoch{}, err
	}
	if waited > last.Lease {
		if err := clock.Sleep(ctx, waited); err != nil {
			return Epoch{}, err
		}
	}
	target := values.Target
	for _, m := range values.Clusters {
		if target == "" && m.Name != last.Active {
			target = m.Name
		}
	}
	next := Epoch{From: last.Active, Target: target, Switch: rand.Text(), Stays: true, By: values.By, Reason: values.Reason, Lease: max(waited, last.Lease), Clusters: last.Clusters}
	closing, err := Advance(ctx, r, last, next)
	if err != nil {
		return Epoch{}, err
	}
	return Advance(ctx, r, closing, reopening(closing, values))
}

// reopening is the epoch that comes back to where a closing one comes from, with other values.
func reopening(closing, values Epoch) Epoch {
	e := values
	e.Number, e.At, e.Forks, e.Planned = 0, time.Time{}, nil, false
	e.Active, e.From, e.Target, e.Switch, e.Stays = closing.From, closing.From, closing.Target, closing.Switch, true
	e.ActiveID = ""
	e.ActiveID = e.ID(e.Active)
	return e
}

// Waited is the longest lease that a client may still have when an epoch follows last: that of
// last, or that of the epoch in which a cluster was active before. Where last is closing, it is
// what that one says.
func Waited(ctx context.Context, r Register, last Epoch) (time.Duration, error) {
	if last.Closing() || last.Number <= 2 {
		return last.Lease, nil
	}
	before, err := r.Get(ctx, last.Scope, last.Number-2)
	if err != nil {
		return 0, err
	}
	return max(last.Lease, before.Lease), nil
}

// History yields a scope's epochs from the first to the newest, one Get each. An error ends it;
// that there is none at all is no error.
func History(ctx context.Context, r Register, scope string) iter.Seq2[Epoch, error] {
	return func(yield func(Epoch, error) bool) {
		e, err := r.Get(ctx, scope, 1)
		for err == nil {
			if !yield(e, nil) {
				return
			}
			e, err = Next(ctx, r, e)
		}
		if !errors.Is(err, ErrNoEpoch) {
			yield(Epoch{}, err)
		}
	}
}
