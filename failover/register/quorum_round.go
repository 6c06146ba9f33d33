package register

import (
	"context"
	"errors"
	"fmt"
	"time"
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
type operation func(ctx context.Context, s Store, key string) ([]byte, error)

func readObject(ctx context.Context, s Store, key string) ([]byte, error) {
	value, err := s.ReadObject(ctx, key)
	switch {
	case errors.Is(err, ErrNoObject):
		return nil, nil
	case err == nil && len(value) == 0:
		return nil, &DamageError{Key: key, Err: errors.New("it is empty")}
	}
	return value, err
}

// createObject creates an object, or reads the one that is there.
func createObject(value []byte) operation {
	return func(ctx context.Context, s Store, key string) ([]byte, error) {
		err := s.CreateObject(ctx, key, value)
		if err == nil {
			return value, nil
		}
		if !errors.Is(err, ErrExists) {
			return nil, err
		}
		there, err := readObject(ctx, s, key)
		if err == nil && there == nil {
			err = fmt.Errorf("%w: %s exists, and isn't there", ErrStale, key)
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

// round does something on all stores at once. It returns when a majority has answered and that is enough; where it isn't enough, when all have or grace is over. The others
// are cancelled, and may yet do what they were told: the rules allow that at any time. nil is enough with a majority.
func (d *decision) round(ctx context.Context, key string, do operation, enough func(answers) bool) (answers, error) {
	rctx, cancel := context.WithTimeoutCause(ctx, d.q.cfg.Timeout, errTimeout)
	defer cancel()
	stores := d.q.cfg.Stores
	ch := make(chan answer, len(stores)) // nobody is left waiting to send
	for i, s := range stores {
		go func() {
			value, err := do(rctx, s, key)
			ch <- answer{i, value, err}
		}()
	}
	got := answers{}
	failed := []error{ErrNoMajority}
	var late <-chan time.Time
	for len(got)+len(failed)-1 < len(stores) {
		select {
		case a := <-ch:
			if a.err == nil {
				got[a.store] = string(a.value)
			} else if failed = append(failed, d.storeError(a, key)); len(failed)-1 > len(stores)-d.q.majority && ctx.Err() == nil {
				return nil, errors.Join(failed...)
			}
			if len(got) < d.q.majority {
				continue
			}
			if enough == nil || enough(got) {
				return got, nil
			}
			if late == nil {
				t := time.NewTimer(grace)
				defer t.Stop()
				late = t.C
			}
		case <-late:
			return got, nil
		case <-rctx.Done():
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if len(got) >= d.q.majority {
				return got, nil
			}
			return nil, errors.Join(append(failed, errTimeout)...)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return got, nil
}

func (d *decision) storeError(a answer, key string) error {
	if d.q.cfg.Hooks.OnStoreError != nil {
		d.q.cfg.Hooks.OnStoreError(a.store, key, a.err)
	}
	return fmt.Errorf("store %d: %w", a.store, a.err)
}
