package registertest

import (
	"errors"
	"sync"
	"testing"

	"github.com/kafkadr/kafkadr/failover/register"
)

// Refusing is a register whose store can be made to refuse, or to be away, behind the driver that
// is tried.
type Refusing struct {
	// Open returns a handle of its own to the same register.
	Open func(t testing.TB) register.Register
	// Refuse makes the store fail the operations that it is true for, from now on: get, list and
	// put, of a key. Nil ends that.
	Refuse func(func(op, key string) bool)
	// Tells says that the driver's errors tell a refusal from absence: then a refusal of one
	// operation alone is tried, too. What tells nothing is found out by what else is refused.
	Tells bool
}

// RunRefusing checks that an epoch that a store merely doesn't give is never said not to be there:
// who hears that goes on writing, and a lease is confirmed. open returns an empty register.
func RunRefusing(t *testing.T, open func(t testing.TB) Refusing) {
	t.Run("Everything", func(t *testing.T) { refusedAll(t, open(t), func(string, string) bool { return true }) })
	t.Run("Get", func(t *testing.T) { refusedAll(t, open(t), func(op, _ string) bool { return op == "get" }) })
	t.Run("Once", func(t *testing.T) {
		if r := open(t); r.Tells {
			refusedOnce(t, r)
		}
	})
}

func refusedAll(t *testing.T, r Refusing, refuse func(op, key string) bool) {
	writer, client, knowsNothing := r.Open(t), r.Open(t), r.Open(t)
	es := Epochs("s", 4)
	create(t, writer, es[:2]...)
	want(t, client, es[1])
	create(t, writer, es[2])
	r.Refuse(refuse)
	for n := int64(1); n <= 3; n++ {
		for _, reader := range []register.Register{client, writer, knowsNothing} {
			if _, err := reader.Get(t.Context(), "s", n); err == nil || errors.Is(err, register.ErrNoEpoch) {
				t.Errorf("get epoch %d of 3, while the store refuses: %v", n, err)
			}
		}
	}
	if _, err := register.Next(t.Context(), client, es[1]); err == nil || errors.Is(err, register.ErrNoEpoch) {
		t.Errorf("next after epoch 2 of 3, while the store refuses: %v", err)
	}
	if _, err := register.Latest(t.Context(), knowsNothing, "s"); err == nil || errors.Is(err, register.ErrNoEpoch) {
		t.Errorf("latest of 3, while the store refuses: %v", err)
	}
	var conflict *register.ConflictError
	if err := writer.Create(t.Context(), es[3]); errors.As(err, &conflict) {
		t.Errorf("create, while the store refuses: %v", err)
	}
	r.Refuse(nil)
	want(t, client, es[2])
	create(t, writer, es[3])
	wantNone(t, client, "s", 5)
}

// refusedOnce refuses each operation of a poll, alone: the epoch is found, or an error says that it
// can't be told.
func refusedOnce(t *testing.T, r Refusing) {
	writer, client := r.Open(t), r.Open(t)
	es := Epochs("s", 3)
	create(t, writer, es...)
	want(t, client, es[1])
	for n := 1; n <= 4; n++ {
		var mu sync.Mutex
		i := 0
		r.Refuse(func(string, string) bool {
			mu.Lock()
			defer mu.Unlock()
			i++
			return i == n
		})
		if e, err := client.Get(t.Context(), "s", 3); errors.Is(err, register.ErrNoEpoch) || err == nil && !e.Equal(es[2]) {
			t.Errorf("get epoch 3, whose operation %d is refused: %v", n, err)
		}
		if e, err := register.Latest(t.Context(), r.Open(t), "s"); errors.Is(err, register.ErrNoEpoch) || err == nil && !e.Equal(es[2]) {
			t.Errorf("latest, whose operation %d is refused: epoch %d, %v", n, e.Number, err)
		}
	}
	r.Refuse(nil)
	want(t, client, es[2])
}
