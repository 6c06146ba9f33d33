package mirror

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// A flow that is retired stands in nobody's way; its copies still aren't mirrored back, and it may
// be taken up again once the other way is retired.
func TestRetire(t *testing.T) {
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, a, 1, nil, "orders")
	produce(t, a, "orders", 1, 3)
	there, back := quickConfig(a, b), quickConfig(b, a)
	once(t, there)
	create(t, b, 1, nil, "own")
	var refused *RefusedError
	if err := runOnce(t.Context(), back); !errors.As(err, &refused) || !strings.Contains(err.Error(), "Retire") {
		t.Fatal(err)
	}
	if err := Retire(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	if err := Retire(t.Context(), there); !errors.Is(err, ErrNoFlow) {
		t.Error(err)
	}
	if s := once(t, back).Status(); s.LeftOut["orders"] == "" || len(s.Topics) != 1 || s.Topics[0].Source != "own" {
		t.Error(s.LeftOut, s.Topics)
	}
	if err := runOnce(t.Context(), there); !errors.As(err, &refused) {
		t.Error(err)
	}
	if err := Retire(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	produce(t, a, "orders", 1, 3)
	once(t, there)
	same(t, a, b, []string{"orders"})
	if got := topicsOf(t, b); !slices.Equal(got, []string{"orders", "own"}) {
		t.Error(got)
	}
}

// Expressions that match nothing yet are waited for; a Once has nothing to wait for. Literal names
// that are missing are all named.
func TestNothingMatchesYet(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	cfg := quickConfig(src, dst)
	cfg.Topics = []string{`A\..*`}
	if p, err := NewPlan(t.Context(), cfg); err != nil || len(p.Warnings) == 0 || !strings.Contains(p.Warnings[0], "matches") {
		t.Error(p, err)
	}
	var unknown *UnknownTopicError
	if err := runOnce(t.Context(), cfg); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "no topic matches") {
		t.Error(err)
	}
	r := start(t, cfg)
	create(t, src, 1, nil, "A.new")
	produce(t, src, "A.new", 1, 3)
	r.until("the topic", func(s Status) bool { return len(s.Topics) == 1 })
	r.caughtUp(src, "A.new")
	r.stop()
	cfg.Topics = []string{"x", "y"}
	if err := runOnce(t.Context(), cfg); !errors.As(err, &unknown) || !strings.Contains(err.Error(), `"x, y"`) {
		t.Error(err)
	}
}
