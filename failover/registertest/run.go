package registertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
)

// Run checks a register. open returns a handle to a register that is empty at its first call in a
// test t; further calls with the same t must return the same register, through another handle where
// it has such. Handles are open's to close, with t.Cleanup. The suite takes a few hundred
// operations.
func Run(t *testing.T, open func(t testing.TB) register.Register) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open func(t testing.TB) register.Register)
	}{
		{"Empty", empty},
		{"RoundTrip", roundTrip},
		{"CreateOnly", createOnly},
		{"CreateConcurrent", createConcurrent},
		{"ReadAfterCreate", readAfterCreate},
		{"ReadAfterRead", readAfterRead},
		{"Controllers", controllers},
		{"Scopes", scopes},
		{"Large", large},
		{"Invalid", invalid},
		{"Kept", kept},
		{"Context", contexts},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// limit is how long a call may go on when its context has ended.
const limit = 10 * time.Second

// Epochs are the first n epochs of a scope that goes from cluster a to b and back, for tests of
// drivers.
func Epochs(scope string, n int) []register.Epoch {
	at := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)
	es := make([]register.Epoch, 0, n)
	for i := range n {
		e := register.Epoch{Scope: scope, Number: int64(i + 1), By: "registertest", Reason: "conformance, \"quoted\" <&> ünïcode", At: at.Add(time.Duration(i) * time.Second)}
		if i == 0 {
			e.Active, e.ActiveID = "a", "MkU3OEVBNTcwNTJENDM2Qg"
		} else {
			e.From, e.Target, e.Switch = "a", "b", fmt.Sprintf("switch-%d", (i+1)/2)
			if (i-1)/2%2 == 1 {
				e.From, e.Target = "b", "a"
			}
		}
		if i > 0 && i%2 == 0 {
			e.Active, e.ActiveID, e.Planned = e.Target, "QWU3OEVBNTcwNTJENDM2Qg", true
			e.Forks = []register.Fork{{Topic: "orders", Partition: 0, Offset: 1 << 60}, {Topic: "orders", Partition: 1}}
		}
		es = append(es, e)
	}
	return es
}

func create(t testing.TB, r register.Register, es ...register.Epoch) {
	t.Helper()
	for _, e := range es {
		if err := r.Create(t.Context(), e); err != nil {
			t.Fatalf("create epoch %d of %s: %v", e.Number, e.Scope, err)
		}
	}
}

func want(t testing.TB, r register.Register, e register.Epoch) {
	t.Helper()
	got, err := r.Get(t.Context(), e.Scope, e.Number)
	if err != nil {
		t.Fatalf("get epoch %d of %s: %v", e.Number, e.Scope, err)
	}
	if !got.Equal(e) {
		t.Fatalf("epoch %d of %s is\n%+v\nwant\n%+v", e.Number, e.Scope, got, e)
	}
}

func wantNone(t testing.TB, r register.Register, scope string, number int64) {
	t.Helper()
	if e, err := r.Get(t.Context(), scope, number); !errors.Is(err, register.ErrNoEpoch) {
		t.Fatalf("epoch %d of %s, which nobody wrote: %+v, %v; want ErrNoEpoch", number, scope, e, err)
	}
}

func wantConflict(t testing.TB, err error, winner register.Epoch) {
	t.Helper()
	var conflict *register.ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("error is %v; want a ConflictError", err)
	}
	if !conflict.Epoch.Equal(winner) {
		t.Fatalf("the conflict is with\n%+v\nwant the winner\n%+v", conflict.Epoch, winner)
	}
}

// by is an epoch as somebody else would write it.
func by(e register.Epoch, who string) register.Epoch {
	e.By = who
	return e
}

func empty(t *testing.T, open func(t testing.TB) register.Register) {
	r := open(t)
	for _, n := range []int64{1, 2, 1000} {
		wantNone(t, r, "never-written", n)
	}
	if _, err := register.Latest(t.Context(), r, "never-written"); !errors.Is(err, register.ErrNoEpoch) {
		t.Fatalf("latest of nothing: %v", err)
	}
}

func roundTrip(t *testing.T, open func(t testing.TB) register.Register) {
	r, other := open(t), open(t)
	for _, e := range Epochs("round.trip-1", 5) {
		wantNone(t, r, e.Scope, e.Number)
		create(t, r, e)
		want(t, r, e)
		want(t, other, e)
	}
	wantNone(t, other, "round.trip-1", 6)
}

// createOnly: who is second gets the first one's epoch, which stays; the same epoch again is no
// conflict.
func createOnly(t *testing.T, open func(t testing.TB) register.Register) {
	r, other := open(t), open(t)
	for _, e := range Epochs("s", 3) {
		create(t, r, e)
		wantConflict(t, r.Create(t.Context(), by(e, "second")), e)
		wantConflict(t, other.Create(t.Context(), by(e, "third")), e)
		create(t, r, e)
		create(t, other, e)
		want(t, other, e)
	}
}

// createConcurrent: of those who create at the same time one wins, and the others get its epoch.
func createConcurrent(t *testing.T, open func(t testing.TB) register.Register) {
	handles := []register.Register{open(t), open(t), open(t), open(t)}
	for _, e := range Epochs("s", 5) {
		errs := make([]error, 2*len(handles))
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range errs {
			wg.Go(func() {
				<-start
				errs[i] = handles[i%len(handles)].Create(t.Context(), by(e, fmt.Sprint("creator ", i)))
			})
		}
		close(start)
		wg.Wait()
		winner := -1
		for i, err := range errs {
			if err == nil && winner >= 0 {
				t.Fatalf("creators %d and %d have both won epoch %d", winner, i, e.Number)
			}
			if err == nil {
				winner = i
			}
		}
		if winner < 0 {
			t.Fatalf("nobody has won epoch %d: %v", e.Number, errors.Join(errs...))
		}
		won := by(e, fmt.Sprint("creator ", winner))
		for i, err := range errs {
			if i != winner {
				wantConflict(t, err, won)
			}
		}
		for _, h := range handles {
			want(t, h, won)
		}
	}
}

// readAfterCreate: what one handle has written the other one reads, at once, also where it has just
// found nothing.
func readAfterCreate(t *testing.T, open func(t testing.TB) register.Register) {
	handles := []register.Register{open(t), open(t)}
	for i, e := range Epochs("s", 20) {
		writer, reader := handles[i%2], handles[(i+1)%2]
		wantNone(t, reader, "s", e.Number)
		create(t, writer, e)
		want(t, reader, e)
	}
}

// readAfterRead: while somebody creates, readers through two handles take turns: what one has seen
// is there for the next.
func readAfterRead(t *testing.T, open func(t testing.TB) register.Register) {
	handles := []register.Register{open(t), open(t)}
	writer := open(t)
	for _, e := range Epochs("s", 10) {
		done := make(chan error, 1)
		go func() { done <- writer.Create(t.Context(), e) }()
		seen, created := false, false
		for turn := 0; !created || turn%2 == 1; turn++ {
			select {
			case err := <-done:
				if err != nil {
					t.Fatalf("create epoch %d: %v", e.Number, err)
				}
				seen, created = true, true
			default:
			}
			got, err := handles[turn%2].Get(t.Context(), "s", e.Number)
			switch {
			case errors.Is(err, register.ErrNoEpoch) && seen:
				t.Fatalf("epoch %d was there, and isn't for a later read", e.Number)
			case errors.Is(err, register.ErrNoEpoch):
			case err != nil:
				t.Fatalf("get epoch %d: %v", e.Number, err)
			case !got.Equal(e):
				t.Fatalf("epoch %d is %+v; want %+v", e.Number, got, e)
			default:
				seen = true
			}
		}
	}
}

// controllers: three of them move a scope on at the same time; what is left is one history, in
// which each epoch has one author who knows of it.
func controllers(t *testing.T, open func(t testing.TB) register.Register) {
	const epochs = 9
	won := make([]map[int64]string, 3)
	var wg sync.WaitGroup
	for i := range won {
		won[i] = map[int64]string{}
		r := open(t)
		wg.Go(func() {
			if err := control(t.Context(), r, fmt.Sprint("controller ", i), epochs, won[i]); err != nil {
				t.Errorf("controller %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	next := int64(1)
	for e, err := range register.History(t.Context(), open(t), "s") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Number != next {
			t.Fatalf("epoch %d follows %d", e.Number, next-1)
		}
		next++
		for i, w := range won {
			if name, ok := w[e.Number]; ok && name != e.By {
				t.Fatalf("controller %d was told that it won epoch %d, which is by %s", i, e.Number, e.By)
			} else if !ok && e.Number > 1 && e.By == fmt.Sprint("controller ", i) {
				t.Fatalf("controller %d was told that it lost epoch %d, which is its own", i, e.Number)
			}
		}
	}
	if next <= epochs {
		t.Fatalf("%d epochs; want %d", next-1, epochs)
	}
}

// control advances a scope, with others, up to a number of epochs, and notes which it won.
func control(ctx context.Context, r register.Register, name string, epochs int64, won map[int64]string) error {
	e, err := register.Begin(ctx, r, "s", register.Epoch{Active: "a", By: name})
	for err == nil && e.Number < epochs {
		next := register.Epoch{From: e.From, Target: e.Target, Switch: e.Switch, Active: e.Target, By: name}
		if !e.Closing() {
			next = register.Epoch{From: e.Active, Target: "b", Switch: fmt.Sprint(name, " ", e.Number), By: name}
			if e.Active == "b" {
				next.Target = "a"
			}
		}
		next, err = register.Advance(ctx, r, e, next)
		var conflict *register.ConflictError
		if errors.As(err, &conflict) {
			next, err = conflict.Epoch, nil
		} else if err == nil {
			won[next.Number] = name
		}
		e = next
	}
	return err
}

// scopes whose names look alike don't meet.
func scopes(t *testing.T, open func(t testing.TB) register.Register) {
	r := open(t)
	names := []string{"a", "a.b", "a-b", "ab", "a.1", "1", "00000000000000000001", strings.Repeat("x", 100), strings.Repeat("x", 99)}
	for i, name := range names {
		for _, later := range names[i:] {
			wantNone(t, r, later, 1)
		}
		create(t, r, Epochs(name, 2)...)
	}
	for _, name := range names {
		for _, e := range Epochs(name, 2) {
			want(t, r, e)
		}
		wantNone(t, r, name, 3)
	}
}

// large: epochs of a cluster of 10 000 partitions.
func large(t *testing.T, open func(t testing.TB) register.Register) {
	r, other := open(t), open(t)
	es := Epochs("large", 3)
	es[2].Forks = nil
	for i := range 10_000 {
		es[2].Forks = append(es[2].Forks, register.Fork{Topic: fmt.Sprintf("a-topic-with-a-name-%04d", i/10), Partition: int32(i % 10), Offset: int64(i) << 40})
	}
	create(t, r, es...)
	want(t, other, es[2])
	wantConflict(t, other.Create(t.Context(), by(es[2], "second")), es[2])
	e, err := other.Get(t.Context(), "large", 3)
	if offset, ok := e.Fork("a-topic-with-a-name-0999", 9); err != nil || !ok || offset != 9999<<40 {
		t.Fatal(offset, ok, err)
	}
}

// invalid epochs and names are refused, and nothing is written.
func invalid(t *testing.T, open func(t testing.TB) register.Register) {
	r := open(t)
	es := Epochs("s", 3)
	scope, number, clusters, forks := es[0], es[0], es[2], es[2]
	scope.Scope = "../s"
	number.Number = 0
	clusters.Active = "c"
	forks.Forks = []register.Fork{{Topic: "t"}, {Topic: "t"}}
	for _, e := range []register.Epoch{scope, number, clusters, forks, {}} {
		var invalid *register.InvalidError
		if err := r.Create(t.Context(), e); !errors.As(err, &invalid) {
			t.Errorf("create %+v: %v; want an InvalidError", e, err)
		}
	}
	for _, e := range []register.Epoch{scope, number} {
		if _, err := r.Get(t.Context(), e.Scope, e.Number); err == nil {
			t.Errorf("get epoch %d of %q: no error", e.Number, e.Scope)
		}
	}
	wantNone(t, r, "s", 3)
}

// kept: an epoch is nobody's to change, neither the slice that was written nor one that was read.
func kept(t *testing.T, open func(t testing.TB) register.Register) {
	r := open(t)
	es, wrote := Epochs("s", 3), Epochs("s", 3)
	create(t, r, wrote...)
	wrote[2].Forks[0].Offset = 1
	want(t, r, es[2])
	got, err := r.Get(t.Context(), "s", 3)
	if err != nil {
		t.Fatal(err)
	}
	got.Forks[0].Offset = 2
	want(t, r, es[2])
}

// contexts: a call whose context has ended returns an error soon, and not one that says what is
// there.
func contexts(t *testing.T, open func(t testing.TB) register.Register) {
	r := open(t)
	es := Epochs("s", 2)
	create(t, r, es[0])
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var conflict *register.ConflictError
	start := time.Now()
	for range 3 {
		if _, err := r.Get(ended, "s", 2); err == nil || errors.Is(err, register.ErrNoEpoch) {
			t.Fatalf("get with a context that has ended: %v", err)
		}
		if err := r.Create(ended, by(es[0], "second")); err == nil || errors.As(err, &conflict) {
			t.Fatalf("create with a context that has ended: %v", err)
		}
		if !errors.Is(second(r.Get(ended, "s", 1)), context.Canceled) {
			t.Fatalf("get with a context that has ended: %v; want its error", second(r.Get(ended, "s", 1)))
		}
	}
	if took := time.Since(start); took > limit {
		t.Fatalf("calls with a context that has ended took %v", took)
	}
	// A create that was cancelled has happened or not; the register goes on either way.
	if err := r.Create(ended, es[1]); err == nil {
		t.Fatal("create with a context that has ended: no error")
	}
	create(t, r, es[1])
	want(t, r, es[1])
}

func second(_ register.Epoch, err error) error { return err }
