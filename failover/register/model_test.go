package register_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
)

// chaos makes the faults of one schedule. Everything is drawn from its seed.
type chaos struct {
	mu  sync.Mutex
	rng *rand.Rand
	// per mille of operations that fail without effect, fail with it, come late, hang.
	before, after, late, hang int
	slowest                   time.Duration
}

func newChaos(seed uint64) *chaos {
	c := &chaos{rng: rand.New(rand.NewPCG(seed, 1))}
	level := []int{0, 20, 100, 300}
	c.before, c.after, c.late, c.hang = level[c.rng.IntN(4)], level[c.rng.IntN(4)], level[c.rng.IntN(4)], level[c.rng.IntN(3)]
	c.slowest = []time.Duration{time.Millisecond, 30 * time.Millisecond, 200 * time.Millisecond}[c.rng.IntN(3)]
	return c
}

func (c *chaos) n(most int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(most)
}

func (c *chaos) pause(most time.Duration) time.Duration { return time.Duration(c.n(int(most))) }

func (c *chaos) hit(perMille int) bool { return c.n(1000) < perMille }

// chaosStore is a store that delays, fails, fails and succeeds, succeeds after the caller has gone, hangs, and goes away for a while.
type chaosStore struct {
	*register.Memory
	c *chaos

	mu       sync.Mutex
	away     func() bool
	hardened bool
}

var errChaos = errors.New("chaos")

func (s *chaosStore) fair() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hardened
}

func (s *chaosStore) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hardened = true
}

// do runs an operation with faults. The operation itself doesn't end with the context: it may take effect when nobody waits any more.
func (s *chaosStore) do(ctx context.Context, op func() error) error {
	if s.fair() {
		return op()
	}
	if s.away() || s.c.hit(s.c.hang) {
		if s.c.hit(500) {
			return errChaos
		}
		<-ctx.Done()
		return ctx.Err()
	}
	if s.c.hit(s.c.before) {
		return errChaos
	}
	if s.c.hit(s.c.late) { // far behind the answer, which is an error or a timeout
		go func() {
			<-time.After(s.c.pause(20 * time.Second))
			_ = op()
		}()
		if s.c.hit(500) {
			return errChaos
		}
		<-ctx.Done()
		return ctx.Err()
	}
	there, back := s.c.pause(s.c.slowest)+1, s.c.pause(s.c.slowest)+1
	done := make(chan error, 1)
	go func() {
		<-time.After(there)
		err := op()
		<-time.After(back)
		done <- err
	}()
	select {
	case err := <-done:
		if s.c.hit(s.c.after) {
			return errChaos
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *chaosStore) CreateObject(ctx context.Context, key string, value []byte) error {
	return s.do(ctx, func() error { return s.Memory.CreateObject(context.WithoutCancel(ctx), key, value) })
}

func (s *chaosStore) ReadObject(ctx context.Context, key string) (value []byte, err error) {
	var mu sync.Mutex
	var got []byte
	err = s.do(ctx, func() error {
		v, err := s.Memory.ReadObject(context.WithoutCancel(ctx), key)
		mu.Lock()
		defer mu.Unlock()
		got = v
		return err
	})
	mu.Lock()
	defer mu.Unlock()
	return got, err
}

// chaosStores are n stores, of which each is away for some time.
func chaosStores(c *chaos, n int) []*chaosStore {
	start := time.Now()
	stores := make([]*chaosStore, n)
	for i := range stores {
		from := c.pause(10 * time.Second)
		until := from + c.pause(20*time.Second)
		if c.hit(500) {
			until = from
		}
		stores[i] = &chaosStore{Memory: register.NewMemory(), c: c, away: func() bool {
			now := time.Since(start)
			return from <= now && now < until
		}}
	}
	return stores
}

func asStores(cs []*chaosStore) []register.Store {
	stores := make([]register.Store, len(cs))
	for i, s := range cs {
		stores[i] = s
	}
	return stores
}

// history is what a schedule's calls came to. Its clock counts beginnings and ends.
type history struct {
	mu    sync.Mutex
	clock int
	calls []call
}

// call is one Get or Create, with the epoch that it says is there; none is a Get that found none.
type call struct {
	begin, end int
	there      *register.Epoch
	none       bool
}

func (h *history) tick() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	return h.clock
}

func (h *history) done(begin int, there *register.Epoch, none bool) {
	end := h.tick()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, call{begin, end, there, none})
}

func (h *history) get(ctx context.Context, r register.Register, number int64) error {
	begin := h.tick()
	e, err := r.Get(ctx, "s", number)
	switch {
	case err == nil:
		h.done(begin, &e, false)
	case errors.Is(err, register.ErrNoEpoch):
		h.done(begin, nil, true)
	}
	return err
}

func (h *history) create(ctx context.Context, r register.Register, e register.Epoch) error {
	begin := h.tick()
	err := r.Create(ctx, e)
	var conflict *register.ConflictError
	switch {
	case err == nil:
		h.done(begin, &e, false)
	case errors.As(err, &conflict):
		h.done(begin, &conflict.Epoch, false)
		return nil
	}
	return err
}

// check holds that there is one epoch, and that it is there for all who began after somebody knew of it.
func (h *history) check() error {
	var value *register.Epoch
	known := h.clock + 1
	for _, c := range h.calls {
		if c.there == nil {
			continue
		}
		if value != nil && !value.Equal(*c.there) {
			return fmt.Errorf("two epochs: by %s and by %s", value.By, c.there.By)
		}
		value, known = c.there, min(known, c.end)
	}
	for _, c := range h.calls {
		if c.none && c.begin > known {
			return fmt.Errorf("a Get that began at %d found none; the epoch was known at %d", c.begin, known)
		}
	}
	return nil
}

// schedule has some writers and readers at one epoch, each with a handle of its own, and looks at what came of it, and that with sound stores it ends well.
func schedule(t *testing.T, seed uint64, open func([]register.Store) register.Register) error {
	c := newChaos(seed)
	stores := chaosStores(c, 3+2*min(1, c.n(8)/7))
	h := &history{}
	var wg sync.WaitGroup
	for w := range 1 + c.n(4) {
		wg.Go(func() {
			r := open(asStores(stores))
			for try := range 1 + c.n(3) {
				<-time.After(c.pause(3 * time.Second))
				e := first("s")
				e.By = fmt.Sprint(w, "/", try)
				ctx, cancel := context.WithTimeout(t.Context(), c.pause(20*time.Second)+1)
				_ = h.create(ctx, r, e)
				cancel()
			}
		})
	}
	for range 1 + c.n(3) {
		wg.Go(func() {
			r := open(asStores(stores))
			for range 1 + c.n(20) {
				<-time.After(c.pause(time.Second))
				ctx, cancel := context.WithTimeout(t.Context(), c.pause(10*time.Second)+1)
				_ = h.get(ctx, r, 1)
				cancel()
			}
		})
	}
	wg.Wait()
	defer func() { <-time.After(time.Minute) }() // all that was late has come
	for _, s := range stores {
		s.heal()
	}
	r := open(asStores(stores))
	if err := h.get(t.Context(), r, 1); err != nil && !errors.Is(err, register.ErrNoEpoch) {
		return fmt.Errorf("with sound stores: %w", err)
	}
	if err := h.create(t.Context(), r, first("s")); err != nil {
		return fmt.Errorf("with sound stores: %w", err)
	}
	if err := h.get(t.Context(), r, 1); err != nil {
		return fmt.Errorf("with sound stores: %w", err)
	}
	<-time.After(time.Minute)
	if err := h.get(t.Context(), r, 1); err != nil {
		return fmt.Errorf("with sound stores: %w", err)
	}
	return h.check()
}

func openQuorum(stores []register.Store) register.Register {
	q, err := register.NewQuorum(register.QuorumConfig{Stores: stores, Timeout: 2 * time.Second})
	if err != nil {
		panic(err)
	}
	return q
}

// TestQuorumModel runs random schedules of several writers and readers on stores with every fault.
func TestQuorumModel(t *testing.T) {
	for seed := range uint64(schedules(t)) {
		synctest.Test(t, func(t *testing.T) {
			if err := schedule(t, seed, openQuorum); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
		if t.Failed() {
			return
		}
	}
}

// naive writes to all stores and has won with a majority: the mistake that a quorum must not make.
type naive struct{ stores []register.Store }

func (n *naive) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	count := map[string]int{}
	for _, s := range n.stores {
		v, _ := s.ReadObject(ctx, "key")
		if count[string(v)]++; len(v) > 0 && count[string(v)] > len(n.stores)/2 {
			return register.Decode("key", scope, number, v)
		}
	}
	return register.Epoch{}, register.ErrNoEpoch
}

func (n *naive) Create(ctx context.Context, e register.Epoch) error {
	raw, err := register.Encode(e)
	won := 0
	for _, s := range n.stores {
		if s.CreateObject(ctx, "key", raw) == nil {
			won++
		}
	}
	if won > len(n.stores)/2 {
		return nil
	}
	there, err2 := n.Get(ctx, e.Scope, e.Number)
	return errors.Join(err, err2, register.Conflict(e, there))
}

// TestModelFinds: the schedules find what is wrong with a register that only looks like one.
func TestModelFinds(t *testing.T) {
	found := map[string]bool{}
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) {
			if err := schedule(t, seed, func(s []register.Store) register.Register { return &naive{s} }); err != nil {
				found[err.Error()[:8]] = true
			}
		})
	}
	if !found["a Get th"] || !found["with sou"] {
		t.Fatal(found)
	}
}
