package mirror

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// topicsOf are a cluster's topics, the ledger aside.
func topicsOf(t testing.TB, cl testkafka.Cluster) []string {
	t.Helper()
	topics, err := kadm.NewClient(testkafka.Client(t, cl)).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(topics.Names(), func(n string) bool { return strings.HasPrefix(n, "__") })
}

// Both directions at once, behind prefixes: each has the other's topics, and no copies of copies.
func TestBothWays(t *testing.T) {
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	for _, cl := range []testkafka.Cluster{a, b} {
		create(t, cl, 2, nil, "orders")
		produce(t, cl, "orders", 2, 10)
	}
	there, back := quickConfig(a, b), quickConfig(b, a)
	there.Prefix, back.Prefix = "A.", "B."
	r1, r2 := start(t, there), start(t, back)
	for range 3 {
		produce(t, a, "orders", 2, 10)
		produce(t, b, "orders", 2, 10)
		r1.caughtUp(a, "orders")
		r2.caughtUp(b, "orders")
	}
	r2.until("copies that are left out", func(s Status) bool { return s.LeftOut["A.orders"] != "" })
	r1.stop()
	r2.stop()
	for cl, want := range map[testkafka.Cluster][]string{a: {"B.orders", "orders"}, b: {"A.orders", "orders"}} {
		if got := topicsOf(t, cl); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// Two same-name flows against each other are refused, whoever comes first, and what was announced
// in vain is taken back.
func TestAgainstEachOther(t *testing.T) {
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, a, 1, nil, "orders")
	once(t, quickConfig(a, b))
	var refused *RefusedError
	for range 2 {
		if err := runOnce(t.Context(), quickConfig(b, a)); !errors.As(err, &refused) || refused.Conflicts[0].Kind != "flow" {
			t.Fatal(err)
		}
	}
	once(t, quickConfig(a, b))
	p, err := NewPlan(t.Context(), quickConfig(b, a))
	if err != nil || len(p.Conflicts) != 1 || p.Conflicts[0].Kind != "flow" || p.LeftOut["orders"] == "" {
		t.Error(p, err)
	}
	if p, err := NewPlan(t.Context(), quickConfig(a, a)); err != nil || len(p.Conflicts) != 1 || p.Conflicts[0].Kind != "same_cluster" {
		t.Error(p, err)
	}
}

// TestPrefixLoop: a copy that MirrorMaker has brought back under its name isn't copied once more,
// A.A.orders. The plan refuses, and one that appears later is left out.
func TestPrefixLoop(t *testing.T) {
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, a, 1, nil, "orders")
	produce(t, a, "orders", 1, 3)
	cfg := quickConfig(a, b)
	cfg.Prefix = "A."
	r := start(t, cfg)
	r.caughtUp(a, "orders")
	create(t, a, 1, nil, "A.orders") // as MirrorMaker's IdentityReplicationPolicy has it
	r.until("the loop", func(s Status) bool { return s.LeftOut["A.orders"] != "" })
	r.stop()
	if got := topicsOf(t, b); !slices.Equal(got, []string{"A.orders"}) {
		t.Error(got)
	}
	var refused *RefusedError
	err := runOnce(t.Context(), cfg)
	if !errors.As(err, &refused) || len(refused.Conflicts) != 1 || refused.Conflicts[0].Kind != "loop" || refused.Conflicts[0].Topic != "A.orders" || !strings.Contains(err.Error(), "A.A.orders") {
		t.Error(err)
	}
	cfg.Exclude = []string{"A.orders"}
	once(t, cfg)
}

// TestFlowsMeet: two flows that would write one topic of the target. The second is refused, with
// both names and the topic, until the first is retired or one leaves it out.
func TestFlowsMeet(t *testing.T) {
	a, b, c := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, a, 1, nil, "orders", "users", "A.orders")
	create(t, b, 1, nil, "orders")
	first := quickConfig(a, c)
	first.Name, first.Topics = "first", []string{"orders", "A.*"}
	once(t, first)
	refused := func(cfg Config, topic string) {
		t.Helper()
		p, err := NewPlan(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(p.Conflicts, func(c Conflict) bool { return c.Kind == "flow" })
		if i < 0 || p.Conflicts[i].Topic != topic || !strings.Contains(p.Conflicts[i].Detail, `"first"`) || !strings.Contains(p.Conflicts[i].Detail, `"second"`) {
			t.Errorf("%s: %v", topic, p.Conflicts)
		}
		var r *RefusedError
		if err := runOnce(t.Context(), cfg); !errors.As(err, &r) {
			t.Error(err)
		}
	}
	second := quickConfig(a, c)
	second.Name, second.Exclude = "second", []string{"A.*"}
	refused(second, "orders")
	prefixed := second
	prefixed.Prefix, prefixed.Topics, prefixed.Exclude = "A.", []string{"orders"}, nil
	refused(prefixed, "orders") // both write A.orders
	other := quickConfig(b, c)
	other.Name = "second"
	refused(other, "orders")
	second.Exclude = []string{"A.*", "orders"}
	once(t, second)
	if err := Retire(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	second.Exclude = nil
	once(t, second)
}

// Behind a prefix a cluster may be mirrored onto itself, without copies of copies.
func TestOntoItself(t *testing.T) {
	a := testkafka.Fake(t, testkafka.Options{})
	create(t, a, 1, nil, "orders")
	produce(t, a, "orders", 1, 10)
	cfg := quickConfig(a, a)
	cfg.Prefix = "copy."
	once(t, cfg)
	once(t, cfg)
	if got := topicsOf(t, a); !slices.Equal(got, []string{"copy.orders", "orders"}) {
		t.Error(got)
	}
}

// A topic that is another cluster's copy on the target isn't written to by a second source.
func TestTwoSources(t *testing.T) {
	a, b, c := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, a, 1, nil, "orders")
	create(t, b, 1, nil, "orders")
	produce(t, a, "orders", 1, 3)
	once(t, quickConfig(a, c))
	var refused *RefusedError
	if err := runOnce(t.Context(), quickConfig(b, c)); !errors.As(err, &refused) || refused.Conflicts[0].Kind != "foreign_writer" {
		t.Error(err)
	}
}

// Two mirrors of the same flow at once: data goes through either; of holes, the newer one's are
// made. The copy is the same.
func TestTwoMirrors(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "t", "u")
	cfg := quickConfig(src, dst)
	r1 := start(t, cfg)
	r2 := start(t, cfg)
	for i := range 20 {
		transaction(t, src, "t", 3, i%3 > 0)
		produce(t, src, "u", 1, 10)
	}
	r1.caughtUp(src, "u")
	r2.caughtUp(src, "u")
	end := int64(80)
	r1.until("either to be there", func(s Status) bool {
		p, _ := find(s, "t", 0)
		q, _ := find(r2.Status(), "t", 0)
		return max(p.Durable, q.Durable) == end
	})
	for _, r := range []*running{r1, r2} {
		if s := r.Status(); s.Events[Shifted]+s.Events[ForeignWriter]+s.Events[Failed]+s.Events[Truncated] > 0 {
			t.Error(s.Recent)
		}
	}
	same(t, src, dst, []string{"t", "u"})
}

// Who is taken over stops there, and goes on when it is told to. The older mirror is held before
// its hole: else it might make every one before the newer claims.
func TestTakenOver(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "t", "u")
	transaction(t, src, "t", 2, false)
	cfg := quickConfig(src, dst)
	held := slowLocks(t, dst, cfg)
	cfg.tuning.locks = held
	r1 := start(t, cfg)
	r1.caughtUp(src, "t")
	held.close()
	r2 := start(t, quickConfig(src, dst))
	transaction(t, src, "t", 2, true)
	r2.caughtUp(src, "t")
	r2.stop()
	held.open()
	r1.stopsWith(TakenOver, "t")
	transaction(t, src, "t", 2, true)
	r1.Retry("u")
	r1.Retry("t")
	r1.caughtUp(src, "t")
	r1.until("a word of it", func(s Status) bool { return s.Events[Recovered] == 1 && s.Stopped == 0 })
	same(t, src, dst, []string{"t"})
}
