package register_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/failover/register"
)

// counting counts Gets, and fails the n-th operation, after it has succeeded where late.
type counting struct {
	register.Register
	gets, ops, fail int
	late            bool
}

var errDown = errors.New("the register is down")

func (c *counting) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	c.gets++
	if c.ops++; c.ops == c.fail {
		return register.Epoch{}, errDown
	}
	return c.Register.Get(ctx, scope, number)
}

func (c *counting) Create(ctx context.Context, e register.Epoch) error {
	if c.ops++; c.ops == c.fail {
		if c.late {
			_ = c.Register.Create(ctx, e)
		}
		return errDown
	}
	return c.Register.Create(ctx, e)
}

func TestLatest(t *testing.T) {
	r := &counting{Register: register.NewMemory()}
	if _, err := register.Latest(t.Context(), r, "s"); !errors.Is(err, register.ErrNoEpoch) {
		t.Fatal(err)
	}
	for i, e := range chain("s", 300) {
		noError(t, r.Create(t.Context(), e))
		r.gets = 0
		got, err := register.Latest(t.Context(), r, "s")
		if err != nil || !got.Equal(e) {
			t.Fatal(got, err)
		}
		if bound := 2; i > 0 {
			for n := i + 1; n > 0; n /= 2 {
				bound += 2
			}
			if r.gets > bound {
				t.Fatalf("%d gets for epoch %d", r.gets, i+1)
			}
		}
	}
	for n := 1; n <= 18; n++ {
		r.ops, r.fail = 0, n
		if e, err := register.Latest(t.Context(), r, "s"); !errors.Is(err, errDown) && (r.ops >= n || err != nil || e.Number != 300) {
			t.Fatal(n, e, err)
		}
	}
}

func TestAdvance(t *testing.T) {
	r := register.NewMemory()
	e, err := register.Begin(t.Context(), r, "s", register.Epoch{Active: "a", By: "first"})
	noError(t, err)
	if e.Number != 1 || e.Scope != "s" || e.At.IsZero() {
		t.Fatal(e)
	}
	if again, err := register.Begin(t.Context(), r, "s", register.Epoch{Active: "b", By: "second"}); err != nil || !again.Equal(e) {
		t.Fatal(again, err)
	}
	closed, err := register.Advance(t.Context(), r, e, register.Epoch{From: "a", Target: "b", Switch: "1", By: "first"})
	noError(t, err)
	if got, err := register.Next(t.Context(), r, e); err != nil || !got.Equal(closed) {
		t.Fatal(got, err)
	}
	if _, err := register.Next(t.Context(), r, closed); !errors.Is(err, register.ErrNoEpoch) {
		t.Fatal(err)
	}
	_, err = register.Advance(t.Context(), r, e, register.Epoch{From: "a", Target: "c", Switch: "2", By: "second"})
	var conflict *register.ConflictError
	if !errors.As(err, &conflict) || !conflict.Epoch.Equal(closed) {
		t.Fatal(err)
	}
	_, err = register.Advance(t.Context(), r, closed, register.Epoch{From: "a", Target: "c", Switch: "2"})
	var invalid *register.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
}

// TestAmbiguous: a Create that failed counts where it has succeeded, and for the other one where
// another was first.
func TestAmbiguous(t *testing.T) {
	mem := register.NewMemory()
	es := chain("s", 3)
	noError(t, mem.Create(t.Context(), es[0]))
	r := &counting{Register: mem, fail: 1, late: true}
	_, err := register.Advance(t.Context(), r, es[0], es[1])
	noError(t, err)
	r = &counting{Register: mem, fail: 1}
	if _, err := register.Advance(t.Context(), r, es[1], es[2]); !errors.Is(err, errDown) {
		t.Fatal(err)
	}
	noError(t, mem.Create(t.Context(), es[2]))
	other := opening(es[1], "a")
	r = &counting{Register: mem, fail: 1}
	var conflict *register.ConflictError
	if _, err := register.Advance(t.Context(), r, es[1], other); !errors.As(err, &conflict) || !conflict.Epoch.Equal(es[2]) {
		t.Fatal(err)
	}
	r = &counting{Register: register.NewMemory(), fail: 2, late: true}
	e, err := register.Begin(t.Context(), r, "s", es[0])
	if err != nil || !e.Equal(es[0]) {
		t.Fatal(e, err)
	}
}

// TestNextInvalid: an epoch that somebody wrote past the rules is refused by all who follow.
func TestNextInvalid(t *testing.T) {
	r := register.NewMemory()
	es := chain("s", 3)
	wrong := es[2]
	wrong.Number = 2
	noError(t, r.Create(t.Context(), es[0]))
	noError(t, r.Create(t.Context(), wrong))
	var invalid *register.InvalidError
	if _, err := register.Next(t.Context(), r, es[0]); !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	for e, err := range register.History(t.Context(), r, "s") {
		if e.Number != 1 && !errors.As(err, &invalid) {
			t.Fatal(e, err)
		}
	}
}

func TestHistory(t *testing.T) {
	r := register.NewMemory()
	for range register.History(t.Context(), r, "s") {
		t.Fatal("a history of nothing")
	}
	want := chain("s", 9)
	for _, e := range want {
		noError(t, r.Create(t.Context(), e))
	}
	var got []register.Epoch
	for e, err := range register.History(t.Context(), r, "s") {
		noError(t, err)
		got = append(got, e)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	for e, err := range register.History(t.Context(), r, "s") {
		noError(t, err)
		if e.Number == 2 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range register.History(ctx, r, "s") {
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

// TestBeginAtOnce: all begin with the same epoch, and many advance: one wins each.
func TestBeginAtOnce(t *testing.T) {
	r := register.NewMemory()
	var wg sync.WaitGroup
	begun := make([]register.Epoch, 20)
	for i := range begun {
		wg.Go(func() {
			e, err := register.Begin(t.Context(), r, "s", register.Epoch{Active: string(rune('a' + i))})
			if err != nil {
				t.Error(err)
			}
			begun[i] = e
		})
	}
	wg.Wait()
	for _, e := range begun {
		if !e.Equal(begun[0]) || e.Number != 1 {
			t.Fatal(e)
		}
	}
}

// TestKept: what a register is given and gives is nobody else's to change.
func TestKept(t *testing.T) {
	r := register.NewMemory()
	es := chain("s", 3)
	for _, e := range es {
		noError(t, r.Create(t.Context(), e))
	}
	es[2].Forks[0].Offset = 999
	e, err := r.Get(t.Context(), "s", 3)
	noError(t, err)
	e.Forks[0].Offset = 998
	if e, _ := r.Get(t.Context(), "s", 3); e.Forks[0].Offset != 2 {
		t.Fatal(e)
	}
}
