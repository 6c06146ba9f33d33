package mirror

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// securedFake has a user "mm" without any rights yet.
func securedFake(t testing.TB) testkafka.Secured {
	t.Helper()
	cl := testkafka.Fake(t, testkafka.Options{Secure: true}).(testkafka.Secured)
	cl.CreateUser(t, "mm", "secret")
	return cl
}

// Rights that are missing on the standby are named before anything is done: those that the copy
// needs as conflicts, the others with what suffers.
func TestPlanRightsOnStandby(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), securedFake(t)
	create(t, src, 1, nil, "orders")
	create(t, dst, 1, nil, "orders")
	cfg := quickConfig(src, dst)
	cfg.Target = dst.UserOpts("mm", "secret")
	topic := func(ops ...kadm.ACLOperation) *kadm.ACLBuilder {
		return kadm.NewACLs().Topics("orders").Operations(ops...)
	}
	weaker := "holes are made by empty transactions"
	limited := []string{
		"the right to DELETE is missing on the target: the log start doesn't follow", "the right to ALTER is missing on the target: partitions aren't added",
		"the right to ALTER_CONFIGS is missing on the target: configs aren't kept in step", weaker,
	}
	for _, step := range []struct {
		allow     []*kadm.ACLBuilder
		conflicts []string
		warned    []string
		not       []string
	}{
		{
			allow:     []*kadm.ACLBuilder{topic(kadm.OpDescribe), kadm.NewACLs().Topics("__kafkadr").Operations(kadm.OpRead), kadm.NewACLs().Clusters().Operations(kadm.OpDescribe)},
			conflicts: []string{"READ", "WRITE"}, warned: limited,
		},
		{allow: []*kadm.ACLBuilder{topic(kadm.OpWrite)}, conflicts: []string{"READ"}, warned: limited},
		{allow: []*kadm.ACLBuilder{topic(kadm.OpRead)}, warned: limited},
		{allow: []*kadm.ACLBuilder{topic(kadm.OpDelete, kadm.OpAlter)}, warned: limited[2:], not: limited[:2]},
		{allow: []*kadm.ACLBuilder{topic(kadm.OpAlterConfigs, kadm.OpDescribeConfigs), kadm.NewACLs().Clusters().Operations(kadm.OpClusterAction)}, not: limited},
	} {
		for _, b := range step.allow {
			testkafka.Allow(t, dst, "mm", b)
		}
		p, err := NewPlan(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var missing []string
		for _, c := range p.Conflicts {
			for _, op := range []string{"READ", "WRITE"} {
				if c.Kind == string(Denied) && c.Topic == "orders" && strings.Contains(c.Detail, "the right to "+op+" it on the target is missing") {
					missing = append(missing, op)
				}
			}
		}
		warnings := strings.Join(p.Warnings, "\n")
		for _, w := range step.conflicts {
			if !strings.Contains(strings.Join(missing, " "), w) {
				t.Errorf("no conflict about %s: %v", w, p.Conflicts)
			}
		}
		if len(p.Conflicts) != len(step.conflicts) {
			t.Errorf("conflicts %v, want %q", p.Conflicts, step.conflicts)
		}
		for _, w := range step.warned {
			if !strings.Contains(warnings, w) {
				t.Errorf("no warning %q in:\n%s", w, warnings)
			}
		}
		for _, w := range step.not {
			if strings.Contains(warnings, w) {
				t.Errorf("the warning %q in:\n%s", w, warnings)
			}
		}
		if want := map[bool]string{true: "transactions", false: "write_txn_markers"}[strings.Contains(warnings, weaker)]; p.HoleMethod != want {
			t.Errorf("hole method %s", p.HoleMethod)
		}
	}
}

// Without the right to transactional ids nothing keeps two mirrors from making the same hole: that
// is said once for each topic, and one mirror alone copies exactly.
func TestHolesUnguarded(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), securedFake(t)
	create(t, src, 1, nil, "a", "b", "plain")
	produce(t, src, "plain", 1, 5)
	for i := range 4 {
		transaction(t, src, "a", 2, i%2 == 0)
		transaction(t, src, "b", 2, i%2 == 1)
	}
	testkafka.Allow(t, dst, "mm", kadm.NewACLs().Topics("*").Groups("*").Operations(kadm.OpAll))
	testkafka.Allow(t, dst, "mm", kadm.NewACLs().Clusters().Operations(kadm.OpAll))
	cfg := quickConfig(src, dst)
	cfg.Target = dst.UserOpts("mm", "secret")
	r := start(t, cfg)
	for range 3 {
		r.caughtUp(src, "a", "b", "plain")
		transaction(t, src, "a", 2, false)
		transaction(t, src, "b", 2, true)
	}
	r.caughtUp(src, "a", "b", "plain")
	s := r.Status()
	for _, ev := range s.Recent {
		if ev.Kind == HolesUnguarded && (ev.Topic == "plain" || ev.Detail == "" || ev.Policy != "") {
			t.Errorf("%+v", ev)
		}
	}
	if s.Events[HolesUnguarded] != 2 || s.Stopped != 0 {
		t.Error(s.Recent)
	}
	same(t, src, dst, []string{"a", "b", "plain"})
	r.stop()
}
