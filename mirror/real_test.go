package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// realPair are two clusters that the tests here share.
func realPair(t testing.TB) (src, dst testkafka.Cluster) {
	t.Helper()
	return pool.Real(t, testkafka.Options{Configs: map[string]string{"log.cleaner.backoff.ms": "200"}}),
		pool.Real(t, testkafka.Options{Configs: map[string]string{"log.cleaner.backoff.ms": "3600000"}})
}

// Hard topics, mirrored while they are made, are the same at both isolation levels. Compacted ones
// are there before, and the standby's cleaner sleeps: what a cleaner leaves is its own affair.
func TestRealHardTopics(t *testing.T) {
	src, dst := realPair(t)
	shrinking := []string{"compacted", "schemas", "retention", "deleted"} // while they are made, records go that a mirror might not have read yet
	topics := testkafka.Load(t, src, testkafka.Hard{Only: shrinking})
	cfg := Config{Source: src.Opts(), Target: dst.Opts(), Discover: time.Second, GroupInterval: time.Second, Exclude: []string{`(B\.)?(both|opposed)\..*`, `(B\.)?kafkadr-heartbeats-.*`}}
	r := start(t, cfg)
	topics = append(topics, testkafka.Load(t, src, testkafka.Hard{ManyPartitions: 50, Without: shrinking})...)
	names := testkafka.Names(topics)
	r.caughtUp(src, names...)
	s := r.Status()
	if s.Stopped > 0 || s.RPO.Unknown > 0 {
		t.Errorf("%+v %v", s.Totals, s.Recent)
	}
	t.Log(s.Events)
	r.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m, err := New(Config{Source: src.Opts(), Target: dst.Opts(), Exclude: cfg.Exclude, Once: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	same(t, src, dst, names)
}

// Two clusters mirror each other at once, behind prefixes, with heartbeats: every copy is the same
// by offset, there are no copies of copies, a topic that grows grows on the other side, one that is
// deleted is deleted there, and a group's offsets go along.
func TestRealBothWays(t *testing.T) {
	a, b := realPair(t)
	names := []string{"both.grows", "both.orders"}
	type way struct {
		*running
		from, to testkafka.Cluster
		prefix   string
	}
	var ways []way
	for _, w := range []way{{from: a, to: b, prefix: "A."}, {from: b, to: a, prefix: "B."}} {
		create(t, w.from, 2, nil, "both.orders")
		create(t, w.from, 1, nil, "both.grows", "both.goes")
		produce(t, w.from, "both.goes", 1, 10)
		ways = append(ways, w)
	}
	for i, w := range ways {
		ways[i].running = start(t, Config{
			Source: w.from.Opts(), Target: w.to.Opts(), Prefix: w.prefix, Name: "both", Topics: []string{`([AB]\.)?both\..*`}, Discover: time.Second, GroupInterval: time.Second,
			Groups: []string{"both"}, Heartbeat: 100 * time.Millisecond, Policies: Policies{TopicDeleted: Delete},
		})
	}
	for round := range 3 {
		for _, w := range ways {
			produce(t, w.from, "both.orders", 2, 20)
			transaction(t, w.from, "both.orders", 3, round%2 == 0)
			transaction(t, w.from, "both.grows", 2, round%2 == 1)
			for p := range int32(round) + 1 {
				if p > 0 {
					produceTo(t, w.from, "both.grows", p, 5)
				}
			}
			if _, err := kadm.NewClient(testkafka.Client(t, w.from)).UpdatePartitions(t.Context(), round+2, "both.grows"); err != nil {
				t.Fatal(err)
			}
		}
		for _, w := range ways {
			w.until("new partitions", func(s Status) bool { _, ok := find(s, "both.grows", int32(round)+1); return ok })
			w.caughtUp(w.from, names...)
		}
	}
	for _, w := range ways {
		commit(t, w.from, "both", "both.orders", 17)
		deleteTopic(t, w.from, "both.goes")
	}
	for _, w := range ways {
		w.until("the deletion, heartbeats and copies that are left out", func(s Status) bool {
			return s.Events[TopicDeleted] == 1 && s.Heartbeat.Count >= 3 && s.Heartbeat.LatencyMillis > 0 && len(s.LeftOut) >= 2
		})
		testkafka.Eventually(t, 20*time.Second, func(context.Context) error {
			if got := committed(t, w.to, "both", w.prefix+"both.orders"); got != 17 {
				return fmt.Errorf("%sboth.orders: the group is at %d", w.prefix, got)
			}
			if slices.Contains(topicsOf(t, w.to), w.prefix+"both.goes") {
				return errors.New("the copy of what was deleted is there still")
			}
			return nil
		})
	}
	for _, w := range ways {
		if s := w.Status(); s.Stopped > 0 || s.Events[Failed] > 0 {
			t.Error(s.Recent)
		}
		w.stop()
	}
	for _, w := range ways {
		for _, uncommitted := range []bool{false, true} {
			for _, d := range testkafka.Equal(readPrefixed(t, w.from, "", names, nil, false), readPrefixed(t, w.to, w.prefix, names, nil, uncommitted)) {
				t.Errorf("%s uncommitted %t: %s", w.prefix, uncommitted, d)
			}
		}
		for _, name := range topicsOf(t, w.to) {
			if strings.HasPrefix(name, "A.B.") || strings.HasPrefix(name, "B.A.") || strings.HasPrefix(name, "A.A.") || strings.HasPrefix(name, "B.B.") {
				t.Errorf("a copy of a copy: %s", name)
			}
		}
	}
}

// Two same-name flows against each other are refused.
func TestRealAgainstEachOther(t *testing.T) {
	a, b := realPair(t)
	create(t, a, 1, nil, "opposed.t")
	there := Config{Source: a.Opts(), Target: b.Opts(), Name: "opposed", Topics: []string{`opposed\..*`}}
	once(t, there)
	back := there
	back.Source, back.Target = there.Target, there.Source
	var refused *RefusedError
	if err := runOnce(t.Context(), back); !errors.As(err, &refused) || refused.Conflicts[0].Kind != "flow" {
		t.Fatal(err)
	}
	if p, err := NewPlan(t.Context(), back); err != nil || len(p.Conflicts) == 0 || p.Conflicts[0].Kind != "flow" || p.LeftOut["opposed.t"] == "" {
		t.Error(p, err)
	}
	once(t, there) // the one that was first isn't hindered
}

// A standby that denies ClusterAction and Alter on the cluster from the start is mirrored to
// exactly, the weaker way, and the plan says so; a mirror that goes on where another has ended does
// so too.
func TestRealWithoutClusterAction(t *testing.T) {
	src := testkafka.Fake(t, testkafka.Options{})
	dst := pool.Real(t, testkafka.Options{Secure: true}).(testkafka.Secured)
	dst.CreateUser(t, "weaker", "weaker-secret")
	testkafka.Allow(t, dst, "weaker", kadm.NewACLs().Topics("*").Groups("*").TransactionalIDs("*").Operations(kadm.OpAll))
	testkafka.Allow(t, dst, "weaker", kadm.NewACLs().Clusters().Operations(kadm.OpDescribe, kadm.OpDescribeConfigs))
	names := []string{"weaker.late", "weaker.t"}
	create(t, src, 1, nil, names...)
	write := func() {
		t.Helper()
		for _, name := range names {
			transaction(t, src, name, 3, false)
			produce(t, src, name, 1, 10)
			transaction(t, src, name, 2, true)
		}
	}
	write()
	deleteBeforeAt(t, src, "weaker.late", 7)
	commit(t, src, "weaker", "weaker.t", 9)
	cfg := Config{Source: src.Opts(), Target: dst.UserOpts("weaker", "weaker-secret"), Name: "weaker", Discover: time.Second, GroupInterval: time.Second, tuning: soon()}
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Conflicts) > 0 || p.HoleMethod != "transactions" || !strings.Contains(strings.Join(p.Warnings, "\n"), "holes are made by empty transactions") {
		t.Errorf("hole method %s, conflicts %v, warnings %q", p.HoleMethod, p.Conflicts, p.Warnings)
	}
	for range 2 {
		began := time.Now()
		r := start(t, cfg)
		r.caughtUp(src, names...)
		t.Logf("caught up after %s", time.Since(began).Round(time.Millisecond))
		write()
		r.caughtUp(src, names...)
		testkafka.Eventually(t, 20*time.Second, func(context.Context) error {
			if got := committed(t, dst, "weaker", "weaker.t"); got != 9 {
				return fmt.Errorf("the group is at %d", got)
			}
			return nil
		})
		if s := r.Status(); s.Stopped > 0 || s.Events[Denied]+s.Events[Failed]+s.Events[HolesUnguarded] > 0 {
			t.Error(s.Recent)
		}
		r.stop()
		same(t, src, dst, names)
		write()
	}
}
