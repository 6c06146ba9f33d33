package mirror

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// After a failover the copies are the standby's own: they are written to, and mirrored back onto
// what they came from, and once more the other way.
func TestReverse(t *testing.T) {
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, a, 2, nil, "orders")
	produce(t, a, "orders", 2, 3)
	there, back := quickConfig(a, b), quickConfig(b, a)
	once(t, there)
	for _, turn := range []struct {
		cfg, reverse Config
		from, to     testkafka.Cluster
	}{{there, back, a, b}, {back, there, b, a}} {
		flows, err := Announced(t.Context(), turn.cfg)
		if err != nil || len(flows) != 1 || flows[0].Name != "mirror" || flows[0].At.IsZero() {
			t.Fatal(flows, err)
		}
		if _, err := Reverse(t.Context(), turn.cfg); err == nil {
			t.Error("turned around under a flow that may run")
		}
		if err := RetireFrom(t.Context(), turn.cfg, flows[0].Source); err != nil {
			t.Fatal(err)
		}
		if err := RetireFrom(t.Context(), turn.cfg, flows[0].Source); !errors.Is(err, ErrNoFlow) {
			t.Error(err)
		}
		for _, want := range [][]string{{"orders"}, nil} {
			if topics, err := Reverse(t.Context(), turn.cfg); err != nil || !slices.Equal(topics, want) {
				t.Error(topics, err)
			}
		}
		produce(t, turn.to, "orders", 2, 4)
		if s := once(t, turn.reverse).Status(); len(s.Topics) != 1 || len(s.LeftOut) != 0 || s.Records != 8 {
			t.Errorf("%+v", s)
		}
		same(t, turn.to, turn.from, []string{"orders"})
	}
}

// What was a source holds aborted transactions where its copy has holes. That is no other's doing
// when it becomes the copy, there and back again.
func TestReverseAborted(t *testing.T) {
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, a, 1, nil, "orders")
	there, back := quickConfig(a, b), quickConfig(b, a)
	there.Name, back.Name = "mirror", "mirror"
	fill := func(cl testkafka.Cluster) {
		t.Helper()
		transaction(t, cl, "orders", 3, true)
		transaction(t, cl, "orders", 3, false)
	}
	fill(a)
	once(t, there)
	for _, turn := range []struct {
		cfg, reverse Config
		from, to     testkafka.Cluster
	}{{there, back, a, b}, {back, there, b, a}, {there, back, a, b}} {
		if err := Retire(t.Context(), turn.cfg); err != nil {
			t.Fatal(err)
		}
		unnote(t, turn.cfg)
		if _, err := Reverse(t.Context(), turn.cfg); err != nil {
			t.Fatal(err)
		}
		once(t, turn.reverse) // nothing has come yet: all that is compared is from before
		fill(turn.to)
		once(t, turn.reverse)
		if s, err := Observe(t.Context(), turn.reverse); err != nil || s.Stopped > 0 || s.LagRecords > 0 {
			t.Error(s, err)
		}
		var got [2]*testkafka.Content
		for i, cl := range []testkafka.Cluster{turn.to, turn.from} {
			var err error
			if got[i], err = testkafka.Capture(t.Context(), cl.Opts(), []string{"orders"}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(got[0].Topics["orders"][0].Records, got[1].Topics["orders"][0].Records); diff != "" {
			t.Error(diff)
		}
	}
}

// unnote takes back how far the copy of orders/0 has got, as where the mirror died before it noted
// that.
func unnote(t *testing.T, cfg Config) {
	t.Helper()
	cfg, err := cfg.complete()
	if err != nil {
		t.Fatal(err)
	}
	e, err := connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	var id identity
	key := e.identityKey("orders", 0)
	if found, err := e.ledger.Get(key, &id); err != nil || !found {
		t.Fatal(found, err)
	}
	id.Position, id.Base, id.End, id.CRC, id.Epoch = 0, 0, 0, 0, -1
	if err := e.ledger.Put(t.Context(), map[string]any{key: id}); err != nil {
		t.Fatal(err)
	}
}

// A source that has records which the standby never got is turned around all the same; its
// partition stops then, and says why.
func TestReverseForked(t *testing.T) {
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, a, 1, nil, "same", "ahead", "other")
	for _, topic := range []string{"same", "ahead", "other"} {
		produce(t, a, topic, 1, 3)
	}
	there, back := quickConfig(a, b), quickConfig(b, a)
	once(t, there)
	produce(t, a, "ahead", 1, 2)
	produce(t, a, "other", 1, 2)
	produce(t, b, "same", 1, 2)
	produce(t, b, "other", 1, 4)
	if err := Retire(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	if topics, err := Reverse(t.Context(), there); err != nil || len(topics) != 3 {
		t.Fatal(topics, err)
	}
	var stopped *StoppedError
	if err := runOnce(t.Context(), back); !errors.As(err, &stopped) {
		t.Fatal(err)
	}
	kinds := map[string]EventKind{}
	for _, err := range stopped.Errs {
		var ev *EventError
		if errors.As(err, &ev) {
			kinds[ev.Event.Topic] = ev.Event.Kind
		}
	}
	if want := map[string]EventKind{"ahead": ForeignWriter, "other": ForeignWriter}; !maps.Equal(kinds, want) {
		t.Error(stopped)
	}
	back.Topics = []string{"same"}
	once(t, back)
	same(t, b, a, []string{"same"})
}

// The plan of the way back names transactions that are open on the old primary.
func TestPlanOpenTransaction(t *testing.T) {
	a, b := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, a, 1, nil, "x")
	produce(t, a, "x", 1, 3)
	c := testkafka.Client(t, a, kgo.TransactionalID("open"))
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "x", Value: []byte("open")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	there, back := quickConfig(a, b), quickConfig(b, a)
	once(t, there)
	if err := Retire(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	if _, err := Reverse(t.Context(), there); err != nil {
		t.Fatal(err)
	}
	named := func() bool {
		p, err := NewPlan(t.Context(), back)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(p.String(), "x/0 on the target: a transaction is open, or not decided yet, since offset 3")
	}
	if !named() {
		t.Error("an open transaction isn't named")
	}
	if err := c.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	if named() {
		t.Error("a transaction that has ended is named")
	}
}
