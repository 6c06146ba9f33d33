package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/quorum"
	"github.com/kafkadr/kafkadr/failover/registertest"
)

func TestNewQuorum(t *testing.T) {
	m := register.NewMemory()
	for _, stores := range [][]register.Store{nil, {m}, {m, m}, {m, m, nil}, {m, m, m, m}} {
		if _, err := quorum.New(quorum.Config{Stores: stores}); err == nil {
			t.Errorf("%d stores", len(stores))
		}
	}
}

// switched is a store that can be turned off: it fails, or says nothing.
type switched struct {
	*register.Memory
	mu          sync.Mutex
	off, silent bool
	ops         int
}

func (s *switched) turn(off, silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off, s.silent = off, silent
}

func (s *switched) enter(ctx context.Context) error {
	s.mu.Lock()
	off, silent := s.off, s.silent
	s.ops++
	s.mu.Unlock()
	if silent {
		<-ctx.Done()
		return ctx.Err()
	}
	if off {
		return errDown
	}
	return nil
}

func (s *switched) CreateObject(ctx context.Context, key string, value []byte) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	return s.Memory.CreateObject(ctx, key, value)
}

func (s *switched) ReadObject(ctx context.Context, key string) ([]byte, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	return s.Memory.ReadObject(ctx, key)
}

func three(t testing.TB, hooks quorum.Hooks) (*quorum.Register, []*switched) {
	var stores []register.Store
	var all []*switched
	for range 3 {
		s := &switched{Memory: register.NewMemory()}
		stores, all = append(stores, s), append(all, s)
	}
	q, err := quorum.New(quorum.Config{Stores: stores, Hooks: hooks})
	noError(t, err)
	return q, all
}

// TestQuorumOutage: one store's outage, of any kind, stops nobody and delays nobody; two stop all,
// and nothing is said that isn't known.
func TestQuorumOutage(t *testing.T) {
	for away := range 3 {
		for _, silent := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				failed := map[int]bool{}
				q, stores := three(t, quorum.Hooks{OnStoreError: func(store int, _ string, _ error) {
					mu.Lock()
					defer mu.Unlock()
					failed[store] = true
				}})
				stores[away].turn(true, silent)
				start := time.Now()
				for _, e := range registertest.Epochs("s", 5) {
					noError(t, q.Create(t.Context(), e))
				}
				e, err := register.Latest(t.Context(), q, "s")
				if err != nil || e.Number != 5 || time.Since(start) > 0 {
					t.Fatal(e, err, time.Since(start))
				}
				stores[(away+1)%3].turn(true, silent)
				_, err = q.Get(t.Context(), "s", 1)
				if !errors.Is(err, register.ErrNoMajority) || errors.Is(err, register.ErrNoEpoch) || time.Since(start) > 5*time.Second {
					t.Fatal(err, time.Since(start))
				}
				if err := q.Create(t.Context(), registertest.Epochs("s", 6)[5]); !errors.Is(err, register.ErrNoMajority) {
					t.Fatal(err)
				}
				if !silent && !failed[(away+1)%3] {
					t.Fatal(failed)
				}
				stores[away].turn(false, false) // it missed all
				for n := range int64(5) {
					if e, err := q.Get(t.Context(), "s", n+1); err != nil || e.Number != n+1 {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// TestQuorumRequests: what a poll costs.
func TestQuorumRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, stores := three(t, quorum.Hooks{})
		noError(t, q.Create(t.Context(), first("s")))
		synctest.Wait()
		for number, want := range map[int64]int{1: 2, 2: 1} {
			for _, s := range stores {
				s.ops = 0
			}
			_, _ = q.Get(t.Context(), "s", number)
			synctest.Wait()
			for i, s := range stores {
				if s.ops > want {
					t.Errorf("a Get of epoch %d asks store %d %d times, instead of %d", number, i, s.ops, want)
				}
			}
		}
	})
}

const blockedValue = `{"version":1,"blocked":true}`

// TestQuorumStates are states that writers who died have left, with a store away that may hold
// more.
func TestQuorumStates(t *testing.T) {
	v, w := first("s"), first("s")
	v.By, w.By = "v", "w"
	put := func(stores []*switched, ballot int, values ...any) {
		for i, value := range values {
			if value == nil {
				continue
			}
			noError(t, stores[i].Memory.CreateObject(t.Context(), fmt.Sprintf("quorum/s/%020d/%06d/claim", 1, ballot), []byte("somebody's")))
			var raw []byte
			switch value := value.(type) {
			case register.Epoch:
				raw, _ = register.Encode(value)
			case string:
				raw = []byte(value)
			}
			if len(raw) > 0 {
				noError(t, stores[i].Memory.CreateObject(t.Context(), fmt.Sprintf("quorum/s/%020d/%06d/value", 1, ballot), raw))
			}
		}
	}
	for name, c := range map[string]struct {
		ballots [][]any
		want    string // who wrote what is there for a reader
		get     error
	}{
		"decided, and the third store is away": {[][]any{{v, v, nil}}, "v", nil},
		"decided with the one that is away":    {[][]any{{v, blockedValue, v}}, "v", nil},
		"copied to the one that missed it":     {[][]any{{v, "", v}}, "v", nil},
		"claimed only":                         {[][]any{{"", "", ""}}, "", register.ErrNoEpoch},
		"claimed where one is away":            {[][]any{{"", nil, ""}}, "", register.ErrNoEpoch},
		"blocked":                              {[][]any{{blockedValue, blockedValue, v}}, "", register.ErrNoEpoch},
		"the higher ballot":                    {[][]any{{w, blockedValue, blockedValue}, {v, blockedValue, v}}, "v", nil},
		"the lower one":                        {[][]any{{v, blockedValue, v}, {"", "", nil}}, "v", nil},
		"not the dead one":                     {[][]any{{blockedValue, blockedValue, w}, {v, v, nil}}, "v", nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			q, stores := three(t, quorum.Hooks{})
			for ballot, values := range c.ballots {
				put(stores, ballot, values...)
			}
			stores[2].turn(true, false)
			e, err := q.Get(t.Context(), "s", 1)
			if !errors.Is(err, c.get) || e.By != c.want {
				t.Fatalf("%s: %v, by %q", name, err, e.By)
			}
			mine := first("s")
			mine.By = "mine"
			err = q.Create(t.Context(), mine)
			var conflict *register.ConflictError
			if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &conflict) || conflict.Epoch.By != c.want) {
				t.Fatalf("%s: create: %v", name, err)
			}
			stores[2].turn(false, false)
			stores[0].turn(true, false)
			if e, err := q.Get(t.Context(), "s", 1); err != nil || c.want != "" && e.By != c.want {
				t.Fatalf("%s: with other stores: %v, by %q", name, err, e.By)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		q, stores := three(t, quorum.Hooks{})
		put(stores, 0, v, w, nil)
		var damage *register.DamageError
		if _, err := q.Get(t.Context(), "s", 1); !errors.As(err, &damage) {
			t.Fatal(err)
		}
	})
}

// TestQuorumDamage: a store with something else in an epoch's place is one that is away; what is
// there is named.
func TestQuorumDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, stores := three(t, quorum.Hooks{})
		key := fmt.Sprintf("quorum/s/%020d/%06d/value", 1, 0)
		noError(t, stores[0].Memory.CreateObject(t.Context(), key, []byte("{}")))
		noError(t, q.Create(t.Context(), first("s")))
		stores[1].turn(true, false)
		var damage *register.DamageError
		if _, err := q.Get(t.Context(), "s", 1); !errors.As(err, &damage) || damage.Key != key || errors.Is(err, register.ErrNoEpoch) {
			t.Fatal(err)
		}
	})
}

// TestQuorumAtOnce: of many who write at once one wins, and all know whom.
func TestQuorumAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(newChaos(0), 3)
		w.c.before, w.c.after, w.c.late, w.c.hang, w.c.slowest = 0, 0, 0, 0, 30*time.Millisecond
		for _, o := range w.away {
			o.sound = true
		}
		start := time.Now()
		winners := make([]string, 20)
		var wg sync.WaitGroup
		for i := range winners {
			stores := w.client()
			for _, s := range stores {
				s.(*chaosStore).client.sound = true
			}
			q := openQuorum(stores)
			wg.Go(func() {
				e := first("s")
				e.By = fmt.Sprint(i)
				err := q.Create(t.Context(), e)
				var conflict *register.ConflictError
				if winners[i] = e.By; errors.As(err, &conflict) {
					winners[i] = conflict.Epoch.By
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, by := range winners {
			if by != winners[0] {
				t.Fatal(winners)
			}
		}
		if took := time.Since(start); took > 15*time.Second {
			t.Error(took)
		}
		<-time.After(time.Minute)
	})
}

// TestQuorumContext: a call returns with its context.
func TestQuorumContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, stores := three(t, quorum.Hooks{})
		for _, s := range stores {
			s.turn(true, true)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, err := range []error{second(q.Get(ctx, "s", 1)), q.Create(ctx, first("s"))} {
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Fatal(err, time.Since(start))
			}
		}
	})
}
