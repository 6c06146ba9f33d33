package quorum

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/clock"
)

// An epoch is decided in ballots 0, 1, 2, …; a store holds two objects of each, written once:
//
//	quorum/<scope>/<number>/<ballot>/claim   the random id of the writer that was first on this store
//	quorum/<scope>/<number>/<ballot>/value   the epoch, or blocked
//
// The rules:
//
//  1. A writer goes from ballot to ballot, and claims each: it creates the claim, and goes on when it knows those of a majority. It owns the ballot if a majority holds its id.
//  2. Only its owner brings an epoch into a ballot, and one only. Others may copy it to further stores.
//  3. Before that the owner goes down through the ballots below, and creates blocked as their value on a majority. Where that finds an epoch, it takes it instead of its own
//     and needs to go no further.
//  4. An epoch is decided when a majority holds it as the value of one ballot.
//
// Safety. A majority can't hold two ids, so by 1 and 2 the values of a ballot are one epoch, and
// blocked. Let v be decided at ballot k, and be w the epoch of a ballot l > k; by induction over l,
// w is v. The owner of l went down from l-1. It can't have passed k: it would have known a majority
// whose value was blocked, and each two majorities share a store, whose value is written once and
// is v. So it found an epoch at a ballot from k to l-1, which is v by induction, and took it.
// Nothing depends on when a write arrives: one that comes late, or twice, or from a writer that has
// gone on, is one that the rules allowed.
//
// Reading. A reader goes up from ballot 0. At a ballot whose claim is absent on a majority it ends:
// by 1 nobody who was done before it began has been at this ballot or above. At each ballot below
// it reads the values of a majority. All hold the same epoch: that is decided, and as nothing is
// ever written over, it is decided for all who read later; the reader need not write it back, as
// those must do whose registers forget. None holds one: nothing had been decided there when it
// began. Else the reader copies the epoch (rule 2) where none is. Where a blocked value or a
// store's absence leaves even then open what the majority is, the reader becomes a writer without
// an epoch of its own: by 3 it decides the one that might have been decided, or finds that there is
// none.
//
// This is Paxos with registers that are written once: Howard and Mortier, "A generalised solution
// to distributed consensus", 2019.

// decision is one epoch's, as one call sees it.
type decision struct {
	q      *Register
	scope  string
	number int64

	mu sync.Mutex
	// sound is a value that has been decoded: most stores hold the same.
	sound string
}

// blocked is the value of a ballot that a store won't take part in.
const blocked = `{"version":1,"blocked":true}`

const (
	maxBallots = 1_000_000
	// looks is how often a writer looks for the decision of a ballot that another owns, before it
	// goes to the next.
	looks             = 3
	firstBallotPause  = 20 * time.Millisecond
	longestBallotTime = time.Second
)

func (d *decision) key(ballot int, kind string) string {
	return fmt.Sprintf("quorum/%s/%020d/%06d/%s", d.scope, d.number, ballot, kind)
}

func (d *decision) fault(err error) error {
	return fmt.Errorf("register: epoch %d of %s: %w", d.number, d.scope, err)
}

// read returns the decided value, or nil where there was none when it began.
func (d *decision) read(ctx context.Context) ([]byte, error) {
	open := false
	for ballot := range maxBallots {
		claims, err := d.round(ctx, d.key(ballot, "claim"), readObject, nil)
		if err != nil {
			return nil, err
		}
		if claims.count("") == len(claims) {
			break
		}
		s, err := d.look(ctx, ballot)
		if err != nil {
			return nil, err
		}
		if s.decided {
			return s.value, nil
		}
		open = open || s.value != nil && !s.spent
	}
	if !open {
		return nil, nil
	}
	return d.write(ctx, nil)
}

// write has a value decided, mine or another, and returns it. Where mine is nil and there is no
// other it returns nil.
func (d *decision) write(ctx context.Context, mine []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d.q.cfg.Patience, register.ErrContended)
	defer cancel()
	id := fmt.Sprintf(`{"version":1,"claim":%q}`, rand.Text())
	pause := firstBallotPause
	for ballot := range maxBallots {
		if d.q.cfg.Hooks.OnBallot != nil {
			d.q.cfg.Hooks.OnBallot(d.scope, d.number, ballot)
		}
		owner, err := d.claim(ctx, ballot, id)
		if err != nil {
			return nil, err
		}
		if owner {
			value, done, err := d.propose(ctx, ballot, mine)
			if err != nil || done {
				return value, err
			}
		}
		value, err := d.await(ctx, ballot, &pause)
		if err != nil || value != nil {
			return value, err
		}
	}
	return nil, register.ErrContended
}

// claim says whether the writer owns a ballot. Claims are on a majority when it returns.
func (d *decision) claim(ctx context.Context, ballot int, id string) (bool, error) {
	claims, err := d.round(ctx, d.key(ballot, "claim"), createObject([]byte(id)), func(a answers) bool { return d.settled(a, id) })
	return err == nil && claims.count(id) >= d.q.majority, err
}

// settled says whether it is known that a majority holds a value, or that none will.
func (d *decision) settled(a answers, value string) bool {
	n := a.count(value)
	return n >= d.q.majority || n+len(d.q.cfg.Stores)-len(a) < d.q.majority
}

// propose brings the owner's value into its ballot, or that of a lower ballot. It is done where the
// value is decided, and where there is none.
func (d *decision) propose(ctx context.Context, ballot int, mine []byte) (value []byte, done bool, err error) {
	value = mine
	for below := ballot - 1; below >= 0; below-- {
		s, err := d.state(ctx, below, createObject([]byte(blocked)), nil)
		if err != nil {
			return nil, false, err
		}
		if s.value != nil {
			value = s.value
			break
		}
	}
	if value == nil {
		return nil, true, nil
	}
	s, err := d.state(ctx, ballot, createObject(value), func(a answers) bool { return d.settled(a, string(value)) })
	return value, s.decided, err
}

// await looks for the decision of a ballot, a few times unless there can't be one. It returns nil
// where there is none.
func (d *decision) await(ctx context.Context, ballot int, pause *time.Duration) ([]byte, error) {
	for range looks {
		s, err := d.look(ctx, ballot)
		if err != nil {
			return nil, err
		}
		if s.decided {
			return s.value, nil
		}
		if s.spent {
			return nil, nil
		}
		if err := clock.Sleep(ctx, mathrand.N(*pause)); err != nil {
			return nil, err
		}
		*pause = min(2**pause, longestBallotTime)
	}
	return nil, nil
}

// look reads the values of a ballot. One that isn't on enough stores is copied to those that have
// none.
func (d *decision) look(ctx context.Context, ballot int) (state, error) {
	s, err := d.state(ctx, ballot, readObject, func(a answers) bool {
		value := proposed(a)
		return value == nil || a.count(string(value)) >= d.q.majority
	})
	if err != nil || s.value == nil || s.decided || s.spent {
		return s, err
	}
	value := s.value
	return d.state(ctx, ballot, createObject(value), func(a answers) bool { return d.settled(a, string(value)) })
}

// state is what is known of a ballot's values.
type state struct {
	// value is the ballot's epoch, where one was seen.
	value []byte
	// decided says that a majority holds it, spent that none ever will.
	decided, spent bool
}

// state does something with a ballot's values, and says what they are.
func (d *decision) state(ctx context.Context, ballot int, do operation, enough func(answers) bool) (state, error) {
	key := d.key(ballot, "value")
	checked := func(ctx context.Context, s register.Store, key string) ([]byte, error) {
		value, err := do(ctx, s, key)
		if err == nil && value != nil && string(value) != blocked {
			err = d.check(key, value)
		}
		return value, err
	}
	got, err := d.round(ctx, key, checked, enough)
	if err != nil {
		return state{}, err
	}
	s := state{value: proposed(got), spent: got.count(blocked) > len(d.q.cfg.Stores)-d.q.majority}
	if s.value == nil {
		return s, nil
	}
	n := got.count(string(s.value))
	if n+got.count(blocked)+got.count("") != len(got) {
		return state{}, &register.DamageError{Key: key, Err: errors.New("the stores hold different epochs of one ballot: one hasn't kept what it held, or somebody uses other stores")}
	}
	s.decided = n >= d.q.majority
	return s, nil
}

// check says whether a value is the decision's epoch.
func (d *decision) check(key string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sound == string(value) {
		return nil
	}
	_, err := register.Decode(key, d.scope, d.number, value)
	if err == nil {
		d.sound = string(value)
	}
	return err
}

// proposed is an epoch among values.
func proposed(a answers) []byte {
	for _, value := range a {
		if value != "" && value != blocked {
			return []byte(value)
		}
	}
	return nil
}
