package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/quorum"
	"github.com/kafkadr/kafkadr/internal/testpass"
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

// patience is how long a call may take: it ends in the middle for some.
func (c *chaos) patience(scale time.Duration) time.Duration {
	if c.hit(300) {
		return 20 * time.Second
	}
	return c.pause(scale) + 1
}

func (c *chaos) hit(perMille int) bool { return c.n(1000) < perMille }

// chaosStore is a store as one client sees it: it delays, fails, fails and succeeds, succeeds after
// the caller has gone, hangs, and is away from time to time, for this client or for all.
type chaosStore struct {
	*register.Memory
	c             *chaos
	store, client *outages
}

// outages are the times at which something is away. They are drawn as time goes on.
type outages struct {
	c        *chaos
	up, down time.Duration
	mu       sync.Mutex
	away     bool
	until    time.Time
	sound    bool
}

// newOutages are none at all for some, short ones for others.
func newOutages(c *chaos) *outages {
	o := &outages{c: c, until: time.Now(), up: 5 * time.Second, down: 5 * time.Second}
	switch c.n(3) {
	case 0:
		o.sound = true
	case 1:
		o.up, o.down = c.slowest*10, c.slowest*10
	}
	return o
}

func (o *outages) now() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.sound && !time.Now().Before(o.until) {
		o.away = o.c.hit(500)
		most := o.up
		if o.away {
			most = o.down
		}
		o.until = o.until.Add(o.c.pause(most) + 1)
	}
	return o.away
}

var errChaos = errors.New("chaos")

// do runs an operation with faults. The operation itself doesn't end with the context: it may take
// effect when nobody waits any more.
func (s *chaosStore) do(ctx context.Context, op func() error) error {
	if s.store.now() || s.client.now() || s.c.hit(s.c.hang) {
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

// world is n stores.
type world struct {
	c      *chaos
	stores []*register.Memory
	away   []*outages
}

func newWorld(c *chaos, n int) *world {
	w := &world{c: c}
	for range n {
		w.stores = append(w.stores, register.NewMemory())
		w.away = append(w.away, newOutages(c))
	}
	return w
}

// client is how a new client sees the stores.
func (w *world) client() []register.Store {
	var stores []register.Store
	for i, m := range w.stores {
		stores = append(stores, &chaosStore{Memory: m, c: w.c, store: w.away[i], client: newOutages(w.c)})
	}
	return stores
}

// sound are the stores without faults.
func (w *world) sound() []register.Store {
	var stores []register.Store
	for _, m := range w.stores {
		stores = append(stores, m)
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

// check holds that there is one epoch, and that it is there for all who began after somebody knew
// of it.
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

// schedule has some writers and readers at one epoch, each with a handle of its own, and looks at
// what came of it, and that with sound stores it ends well.
func schedule(t *testing.T, seed uint64, open func([]register.Store) register.Register) error {
	c := newChaos(seed)
	stores := newWorld(c, 3+2*min(1, c.n(8)/7))
	h := &history{}
	var wg sync.WaitGroup
	scale := c.slowest * time.Duration(1+c.n(30)) // of what happens at once, and of how soon writers and readers end
	for w := range 1 + c.n(5) {
		wg.Go(func() {
			r := open(stores.client())
			for try := range 1 + c.n(8) {
				<-time.After(c.pause(scale))
				e := first("s")
				e.By = fmt.Sprint(w, "/", try)
				ctx, cancel := context.WithTimeout(t.Context(), c.patience(scale))
				_ = h.create(ctx, r, e)
				cancel()
			}
		})
	}
	for range 1 + c.n(3) {
		wg.Go(func() {
			r := open(stores.client())
			for range 1 + c.n(20) {
				<-time.After(c.pause(2 * scale))
				ctx, cancel := context.WithTimeout(t.Context(), c.patience(scale))
				_ = h.get(ctx, r, 1)
				cancel()
			}
		})
	}
	wg.Wait()
	defer func() { <-time.After(time.Minute) }() // all that was late has come
	r := open(stores.sound())
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
	q, err := quorum.New(quorum.Config{Stores: stores, Timeout: 2 * time.Second})
	if err != nil {
		panic(err)
	}
	return q
}

// TestQuorumModel runs random schedules of several writers and readers on stores with every fault.
func TestQuorumModel(t *testing.T) {
	testpass.NoRaces(t)
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
	for seed := range uint64(100) {
		var err error
		synctest.Test(t, func(t *testing.T) {
			err = schedule(t, seed, func(s []register.Store) register.Register { return &naive{s} })
		})
		if err != nil && strings.HasPrefix(err.Error(), "two epochs") {
			return
		}
	}
	t.Fatal("nothing was found")
}
