package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testpass"
)

// crashing is a store as a client sees it that is killed after some operations, and that doesn't
// reach every store.
type crashing struct {
	*register.Memory
	c    *chaos
	away bool
	left *int // operations until the client is killed, shared by its stores
}

func (s *crashing) do(op func() error) error {
	s.c.mu.Lock()
	*s.left--
	dead := *s.left < 0
	s.c.mu.Unlock()
	if s.away || dead || s.c.hit(s.c.before) {
		return errChaos
	}
	if err := op(); !s.c.hit(s.c.after) {
		return err
	}
	return errChaos
}

func (s *crashing) CreateObject(ctx context.Context, key string, value []byte) error {
	return s.do(func() error { return s.Memory.CreateObject(ctx, key, value) })
}

func (s *crashing) ReadObject(ctx context.Context, key string) (value []byte, err error) {
	err = s.do(func() (err error) {
		value, err = s.Memory.ReadObject(ctx, key)
		return err
	})
	return value, err
}

// crashes has writers and readers that follow each other; each reaches some of the stores, and most
// are killed in the middle.
func crashes(t *testing.T, seed uint64, open func([]register.Store) register.Register) error {
	c := newChaos(seed)
	c.before, c.after = c.before/5, c.after/5
	w := newWorld(c, 3+2*(c.n(8)/7))
	h := &history{}
	for step := range 3 + c.n(12) {
		left := c.n(40)
		if c.hit(400) {
			left = 1000
		}
		var stores []register.Store
		for _, m := range w.stores {
			stores = append(stores, &crashing{m, c, c.hit(330), &left})
		}
		r := open(stores)
		if c.hit(300) {
			_ = h.get(t.Context(), r, 1)
			continue
		}
		e := first("s")
		e.By = fmt.Sprint(step)
		_ = h.create(t.Context(), r, e)
	}
	r := open(w.sound())
	if err := h.get(t.Context(), r, 1); err != nil && !errors.Is(err, register.ErrNoEpoch) {
		return fmt.Errorf("with sound stores: %w", err)
	}
	if err := h.create(t.Context(), r, first("s")); err != nil {
		return fmt.Errorf("with sound stores: %w", err)
	}
	<-time.After(time.Minute)
	return h.check()
}

// TestQuorumCrashes: writers and readers that are killed at any operation leave nothing that two
// could read otherwise.
func TestQuorumCrashes(t *testing.T) {
	testpass.NoRaces(t)
	for seed := range uint64(2 * schedules(t)) {
		synctest.Test(t, func(t *testing.T) {
			if err := crashes(t, seed, openQuorum); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
		if t.Failed() {
			return
		}
	}
}
