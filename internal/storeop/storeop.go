// Package storeop runs one operation of a blob store: each try within its deadline, and again where
// that may help, with a growing pause between.
package storeop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kafkadr/kafkadr/internal/clock"
)

// ErrTimeout is wrapped by a try's error where the store didn't answer within Policy.Timeout.
var ErrTimeout = errors.New("no answer from the store in time")

const firstBackoff = 50 * time.Millisecond

// Policy is how an operation is tried.
type Policy struct {
	// Timeout is how long the store may take for one try.
	Timeout time.Duration
	// Bytes are moved by one try: its deadline is later by what they take at [SlowestLink].
	Bytes int64
	// Retries is how often it is tried again.
	Retries int
	// MaxBackoff bounds the pause before a try: 50 ms doubled each time, of which half to three
	// halves are taken.
	MaxBackoff time.Duration
	// Final says whether trying again is of no use, beside what the store's answer says. Default:
	// nothing more.
	Final func(error) bool
	// Status reads the store's answer out of an error. Default: [AnswerOf].
	Status Status
	// Proof succeeds if what else the store says, asked afterwards, shows that the object isn't
	// there. With it, an object that isn't there is an error that matches [ErrAbsent], and one that
	// merely isn't given, for want of rights or of the whole store, [ErrUnproven].
	Proof func(context.Context) error
	// Must says that the object has to be there. Then no single answer counts: absence is always
	// proven, and asked for once more before.
	Must bool
	// Tried is told of each try, what it took and its error.
	Tried func(time.Duration, error)
	// Again is told of each error after which it is tried again, before the pause.
	Again func(error)
}

// Do runs f until it succeeds, fails for good, or has been tried Policy.Retries times again; the
// error is the last one's. Where ctx has ended it is ctx's cause.
func Do(ctx context.Context, p Policy, f func(context.Context) error) error {
	backoff := firstBackoff
	for again := 0; ; again++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := try(ctx, p, f)
		if err == nil {
			return nil
		}
		err = settle(ctx, p, err)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !p.again(err, again) {
			return err
		}
		if p.Again != nil {
			p.Again(err)
		}
		if err := Sleep(ctx, backoff/2+rand.N(backoff)); err != nil {
			return err
		}
		backoff = min(2*backoff, p.MaxBackoff)
	}
}

// again says whether the try after an error is made; so many were before it.
func (p Policy) again(err error, tries int) bool {
	switch {
	case p.Final != nil && p.Final(err):
		return false
	case tries == 0 && errors.Is(err, ErrThere):
		return true // it may have been written between the question and the proof
	case tries >= p.Retries:
		return false
	case tries == 0 && p.Must && errors.Is(err, ErrAbsent):
		return true
	}
	return !p.final(err)
}

// SlowestLink is the rate, in bytes a second, at which a deadline lets bytes move: half a megabit.
const SlowestLink = 64 << 10

// Transfer is how long bytes may take on the slowest link.
func Transfer(bytes int64) time.Duration {
	return time.Duration(bytes) * time.Second / SlowestLink
}

func try(ctx context.Context, p Policy, f func(context.Context) error) error {
	tctx, cancel := context.WithTimeoutCause(ctx, p.Timeout+Transfer(p.Bytes), ErrTimeout)
	defer cancel()
	start := time.Now()
	err := f(tctx)
	if err != nil && tctx.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	if p.Tried != nil {
		p.Tried(time.Since(start), err)
	}
	return err
}

// Sleep waits for d or the end of ctx, whose cause it returns then.
func Sleep(ctx context.Context, d time.Duration) error { return clock.Sleep(ctx, d) }
