package instep

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

func user(name *string, key string, value float64) Quota {
	return Quota{Entity: map[string]*string{"user": name}, Key: key, Value: value}
}

func TestPlanQuotas(t *testing.T) {
	a, b := ptr("a"), ptr("b")
	p := planQuotas(
		[]Quota{user(a, "producer_byte_rate", 1), user(nil, "consumer_byte_rate", 2), user(b, "request_percentage", 3)},
		[]Quota{user(b, "request_percentage", 3), user(a, "producer_byte_rate", 9), user(a, "consumer_byte_rate", 9), user(b, "consumer_byte_rate", 9)},
		[]Quota{user(b, "consumer_byte_rate", 0), user(b, "producer_byte_rate", 0)},
	)
	texts := func(qs []Quota) []string {
		var ts []string
		for _, q := range qs {
			ts = append(ts, q.String())
		}
		return ts
	}
	want := [][]string{
		{`user "a" producer_byte_rate=1`, `user (default) consumer_byte_rate=2`},
		{`user "b" consumer_byte_rate=9`},
		{`user "a" producer_byte_rate=0`, `user (default) consumer_byte_rate=0`},
	}
	if d := cmp.Diff(want, [][]string{texts(p.Set), texts(p.Remove), texts(p.later)}); d != "" {
		t.Errorf("set, remove, ours (-want +got):\n%s", d)
	}
}

// Of each default among users and client IDs the mirror's client ID is exempt, by the more special
// entity, unless the source has that.
func TestExempt(t *testing.T) {
	a, c := ptr("a"), ptr("kafkadr")
	of := func(entity map[string]*string, value float64) Quota {
		return Quota{Entity: entity, Key: "producer_byte_rate", Value: value}
	}
	for _, tt := range []struct {
		name       string
		quota, own map[string]*string
	}{
		{"users", map[string]*string{"user": nil}, map[string]*string{"user": nil, "client-id": c}},
		{"clients", map[string]*string{"client-id": nil}, map[string]*string{"client-id": c}},
		{"both", map[string]*string{"user": nil, "client-id": nil}, map[string]*string{"user": nil, "client-id": c}},
		{"one user", map[string]*string{"user": a}, nil},
		{"clients of one user", map[string]*string{"user": a, "client-id": nil}, nil},
		{"addresses", map[string]*string{"ip": nil}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want []Quota
			if tt.own != nil {
				want = []Quota{of(tt.own, unbound)}
			}
			if d := cmp.Diff(want, exempt([]Quota{of(tt.quota, 5)}, "kafkadr")); d != "" {
				t.Error(d)
			}
			if tt.own != nil && len(exempt([]Quota{of(tt.quota, 5), of(tt.own, 7)}, "kafkadr")) > 0 {
				t.Error("the source's own was replaced")
			}
		})
	}
}

func TestFakeQuotas(t *testing.T) { testQuotas(t, fakes(t, testkafka.Options{Secure: true})) }

func TestRealQuotas(t *testing.T) { testQuotas(t, reals(t)) }

// Quotas of all entities appear and disappear with the source's; the standby's own stay. SCRAM
// users are named once.
func testQuotas(t *testing.T, p *pair) {
	app, ip := ptr("app"), ptr("127.0.0.9")
	all := []Quota{
		user(app, "producer_byte_rate", 1e6), user(nil, "consumer_byte_rate", 2e6),
		{Entity: map[string]*string{"client-id": nil}, Key: "request_percentage", Value: 150},
		{Entity: map[string]*string{"user": app, "client-id": ptr("c")}, Key: "producer_byte_rate", Value: 5},
		{Entity: map[string]*string{"ip": ip}, Key: "connection_creation_rate", Value: 70},
	}
	mine := user(ptr("mine"), "producer_byte_rate", 7)
	put(t, p.sides.Source, all...)
	put(t, p.sides.Target, mine)
	s := NewQuotas(p.sides)
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		plan, events, err := NewQuotas(p.sides).Plan(ctxOf(t), View{})
		if err != nil || len(plan.Set) != len(all)+len(exempt(all, "kafkadr")) {
			return errors.New(cmp.Diff(plan, err))
		}
		if len(events) != 2 || events[0].Kind != ScramUsers || events[1].Kind != QuotaOwn {
			t.Errorf("events %v", events)
		}
		return nil
	})
	if got := kinds(sync1(t, s, View{})); !slices.Equal(got, []string{"quota_own", "scram_users"}) {
		t.Errorf("events %v", got)
	}
	p.expectQuotas(append(slices.Concat(all, exempt(all, "kafkadr")), mine))
	if r := sync1(t, s, View{}); len(r.Events) > 0 {
		t.Errorf("again: %+v", r)
	}

	drop(t, p.sides.Source, all[0], all[2])
	all[1].Value = 3e6
	put(t, p.sides.Source, all[1])
	p.sides.Ledger = p.ledger()
	s = NewQuotas(p.sides)
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		sync1(t, s, View{})
		return p.quotasDiffer(append(exempt(all[1:2], "kafkadr"), all[1], all[3], all[4], mine))
	})
}

func (p *pair) expectQuotas(want []Quota) {
	p.t.Helper()
	testkafka.Eventually(p.t, time.Minute, func(context.Context) error { return p.quotasDiffer(want) })
}

func (p *pair) quotasDiffer(want []Quota) error {
	var r Report
	s := NewQuotas(p.sides)
	s.notices.begin()
	got, err := s.read(ctxOf(p.t), &r, p.sides.Target, "standby")
	if err != nil {
		return err
	}
	got = slices.SortedFunc(slices.Values(got), Quota.compare)
	want = slices.SortedFunc(slices.Values(want), Quota.compare)
	if d := cmp.Diff(want, got); d != "" {
		return errors.New("quotas (-want +got):\n" + d)
	}
	return nil
}

func put(t testing.TB, cl *rawkafka.Cluster, qs ...Quota)  { t.Helper(); alterQuotas(t, cl, qs, false) }
func drop(t testing.TB, cl *rawkafka.Cluster, qs ...Quota) { t.Helper(); alterQuotas(t, cl, qs, true) }

func alterQuotas(t testing.TB, cl *rawkafka.Cluster, qs []Quota, remove bool) {
	t.Helper()
	for _, q := range qs {
		var e kadm.ClientQuotaEntity
		for kind, name := range q.Entity {
			e = append(e, kadm.ClientQuotaEntityComponent{Type: kind, Name: name})
		}
		rs, err := cl.Admin().AlterClientQuotas(ctxOf(t), []kadm.AlterClientQuotaEntry{{Entity: e, Ops: []kadm.AlterClientQuotaOp{{Key: q.Key, Value: q.Value, Remove: remove}}}})
		if err == nil {
			err = rs[0].Err
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
