package quorum

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
)

// answers are what stores hold, by their index; "" is nothing.
type answers map[int]string

func (a answers) count(value string) int {
	n := 0
	for _, v := range a {
		if v == value {
			n++
		}
	}
	return n
}

// operation does something with an object on a store, and returns what the store holds then.
type operation func(ctx context.Context, s register.Store, key string) ([]byte, error)

func readObject(ctx context.Context, s register.Store, key string) ([]byte, error) {
	value, err := s.ReadObject(ctx, key)
	switch {
	case errors.Is(err, register.ErrNoObject):
		return nil, nil
	case err == nil && len(value) == 0:
		return nil, &register.DamageError{Key: key, Err: errors.New("it is empty")}
	}
	return value, err
}

// createObject creates an object, or reads the one that is there.
func createObject(value []byte) operation {
	return func(ctx context.Context, s register.Store, key string) ([]byte, error) {
		err := s.CreateObject(ctx, key, value)
		if err == nil {
			return value, nil
		}
		if !errors.Is(err, register.ErrExists) {
			return nil, err
		}
		there, err := readObject(ctx, s, key)
		if err == nil && there == nil {
			err = fmt.Errorf("%w: %s exists, and isn't there", register.ErrStale, key)
		}
		return there, err
	}
}

// answer is one store's.
type answer struct {
	store int
	value []byte
	err   error
}

// round does something on all stores at once. It returns when a majority has answered and that is
// enough; where it isn't enough, when all have or grace is over. The others are cancelled, and may
// yet do what they were told: the rules allow that at any time. nil is enough with a majority.
func (d *decision) round(ctx context.Context, key string, do operation, enough func(answers) bool) (answers, error) {
	rctx, cancel := context.WithTimeoutCause(ctx, d.q.cfg.Timeout, errTimeout)
	defer cancel()
	ch := d.ask(rctx, key, do)
	stores := len(d.q.cfg.Stores)
	got := answers{}
	failed := []error{register.ErrNoMajority}
	var late <-chan time.Time
	for over := false; !over && len(got)+len(failed)-1 < stores; {
		select {
		case a := <-ch:
			if a.err != nil {
				failed = append(failed, d.storeError(a, key))
				over = len(failed)-1 > stores-d.q.majority
				continue
			}
			got[a.store] = string(a.value)
			if len(got) < d.q.majority {
				continue
			}
			over = enough == nil || enough(got)
			if late == nil {
				late = time.After(grace)
			}
		case <-late:
			over = true
		case <-rctx.Done():
			failed = append(failed, context.Cause(rctx))
			over = true
		}
	}
	switch {
	case len(got) >= d.q.majority:
		return got, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, errors.Join(failed...)
}

// ask begins an operation on every store. Nobody is left waiting to send.
func (d *decision) ask(ctx context.Context, key string, do operation) <-chan answer {
	ch := make(chan answer, len(d.q.cfg.Stores))
	for i, s := range d.q.cfg.Stores {
		go func() {
			value, err := do(ctx, s, key)
			ch <- answer{i, value, err}
		}()
	}
	return ch
}

func (d *decision) storeError(a answer, key string) error {
	if d.q.cfg.Hooks.OnStoreError != nil {
		d.q.cfg.Hooks.OnStoreError(a.store, key, a.err)
	}
	return fmt.Errorf("store %d: %w", a.store, a.err)
}

// errTimeout is a round's that has lasted for Config.Timeout.
var errTimeout = errors.New("no answer from the store in time")
