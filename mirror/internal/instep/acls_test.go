package instep

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// parseACLs reads lines of `TYPE name PATTERN OPERATION [PERMISSION]`.
func parseACLs(lines ...string) []ACL {
	var acls []ACL
	for _, line := range lines {
		f := strings.Fields(line)
		a := ACL{ResourceType: f[0], ResourceName: f[1], PatternType: f[2], Operation: f[3], Permission: allow, Principal: "User:app", Host: "*"}
		if len(f) > 4 {
			a.Permission = f[4]
		}
		acls = append(acls, a)
	}
	return acls
}

func lines(acls []ACL) []string {
	var ls []string
	for _, a := range acls {
		l := strings.Join([]string{a.ResourceType, a.ResourceName, a.PatternType, a.Operation}, " ")
		if a.Permission != allow {
			l += " " + a.Permission
		}
		ls = append(ls, l)
	}
	slices.Sort(ls)
	return ls
}

func TestPlanACLs(t *testing.T) {
	for _, tt := range []struct {
		name             string
		prefix           string
		writes           Writes
		src, dst, owned  []string
		create, deletes  []string
		withheld, atLast []string
	}{
		{
			name: "all types and patterns, same names",
			src: []string{"TOPIC orders LITERAL READ", "TOPIC other LITERAL READ", "TOPIC ord PREFIXED DESCRIBE", "TOPIC * LITERAL READ", "GROUP g LITERAL READ", "GROUP g PREFIXED DELETE",
				"CLUSTER kafka-cluster LITERAL ALTER", "TRANSACTIONAL_ID tx PREFIXED WRITE", "DELEGATION_TOKEN tok LITERAL DESCRIBE", "USER User:x LITERAL CREATE_TOKENS"},
			create: []string{"CLUSTER kafka-cluster LITERAL ALTER", "DELEGATION_TOKEN tok LITERAL DESCRIBE", "GROUP g LITERAL READ", "GROUP g PREFIXED DELETE", "TOPIC * LITERAL READ",
				"TOPIC ord PREFIXED DESCRIBE", "TOPIC orders LITERAL READ", "TRANSACTIONAL_ID tx PREFIXED WRITE", "USER User:x LITERAL CREATE_TOKENS"},
		},
		{
			name: "a prefix", prefix: "A.",
			src:    []string{"TOPIC orders LITERAL READ", "TOPIC ord PREFIXED READ", "TOPIC * LITERAL READ", "TOPIC * LITERAL WRITE DENY", "GROUP orders LITERAL READ"},
			create: []string{"GROUP orders LITERAL READ", "TOPIC A. PREFIXED READ", "TOPIC A. PREFIXED WRITE DENY", "TOPIC A.ord PREFIXED READ", "TOPIC A.orders LITERAL READ"},
		},
		{
			name: "rights to write are withheld",
			src: []string{"TOPIC orders LITERAL WRITE", "TOPIC orders LITERAL ALL", "TOPIC ord PREFIXED ALTER_CONFIGS", "TOPIC * LITERAL DELETE", "TOPIC * LITERAL WRITE DENY",
				"TOPIC * LITERAL ALL DENY", "TOPIC other LITERAL WRITE", "GROUP g LITERAL ALL"},
			create: []string{"GROUP g LITERAL ALL", "TOPIC * LITERAL ALL DENY", "TOPIC * LITERAL WRITE DENY", "TOPIC orders LITERAL DESCRIBE", "TOPIC orders LITERAL DESCRIBE_CONFIGS",
				"TOPIC orders LITERAL READ"},
			withheld: []string{"TOPIC * LITERAL DELETE", "TOPIC ord PREFIXED ALTER_CONFIGS", "TOPIC orders LITERAL ALL", "TOPIC orders LITERAL WRITE"},
		},
		{name: "or carried", writes: WritesCarried, src: []string{"TOPIC orders LITERAL WRITE"}, create: []string{"TOPIC orders LITERAL WRITE"}},
		{
			name: "only ours are deleted", src: []string{"GROUP g LITERAL READ"}, dst: []string{"GROUP g LITERAL READ", "GROUP g LITERAL DELETE", "GROUP h LITERAL READ"},
			owned: []string{"GROUP g LITERAL READ", "GROUP g LITERAL DELETE", "GROUP gone LITERAL READ"}, deletes: []string{"GROUP g LITERAL DELETE"}, atLast: []string{"GROUP g LITERAL READ"},
		},
		{name: "what was there before isn't ours", src: []string{"GROUP g LITERAL READ"}, dst: []string{"GROUP g LITERAL READ"}},
		{name: "a topic that isn't mirrored any more", dst: []string{"TOPIC was LITERAL READ"}, src: []string{"TOPIC was LITERAL READ"}, owned: []string{"TOPIC was LITERAL READ"},
			deletes: []string{"TOPIC was LITERAL READ"}},
		{name: "deleted on the standby by somebody, and made again", src: []string{"GROUP g LITERAL READ"}, owned: []string{"GROUP g LITERAL READ"}, create: []string{"GROUP g LITERAL READ"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := View{Topics: []Topic{{Source: "orders", Target: tt.prefix + "orders"}}}
			if tt.writes == "" {
				tt.writes = WritesWithheld
			}
			if tt.atLast == nil {
				tt.atLast = tt.create
			}
			p := planACLs(v, tt.prefix, tt.writes, parseACLs(tt.src...), parseACLs(tt.dst...), parseACLs(tt.owned...))
			if d := cmp.Diff([][]string{tt.create, tt.deletes, tt.withheld, tt.atLast}, [][]string{lines(p.Create), lines(p.Delete), lines(p.Withheld), lines(p.later)}); d != "" {
				t.Errorf("create, delete, withheld, ours (-want +got):\n%s", d)
			}
		})
	}
}

// Without an authorizer there is nothing to carry, which is said once.
func TestACLsOff(t *testing.T) {
	p := pairOf(t, testkafka.Fake(t, testkafka.Options{Secure: true}), testkafka.Fake(t, testkafka.Options{}))
	off := func(fake testkafka.Cluster) {
		k := testkafka.Kfake(fake)
		k.ControlKey(int16(kmsg.DescribeACLs), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			k.KeepControl()
			resp := kreq.ResponseKind().(*kmsg.DescribeACLsResponse)
			resp.ErrorCode = 54 // SECURITY_DISABLED; kfake always has an authorizer of sorts
			return resp, nil, true
		})
	}
	off(p.to)
	s := NewACLs(p.sides, "")
	if got := kinds(sync1(t, s, View{})); !slices.Equal(got, []string{"acls_off"}) {
		t.Errorf("events %v", got)
	}
	if got := kinds(sync1(t, s, View{})); len(got) > 0 {
		t.Errorf("again: events %v", got)
	}
}

func TestFakeACLs(t *testing.T) { testACLs(t, fakes(t, testkafka.Options{Secure: true})) }

func TestRealACLs(t *testing.T) { testACLs(t, reals(t)) }

// ACLs appear and disappear with the source's; those of the standby's own stay; a process that
// starts anew knows what was created by the one before.
func testACLs(t *testing.T, p *pair) {
	p.sides.Prefix = "A."
	v := View{Topics: []Topic{p.topic("orders", "A.orders", 1, nil, nil)}}
	before := []string{"GROUP own LITERAL READ"}
	p.putACLs(p.sides.Target.Admin(), "before the mirror", parseACLs(before...))
	src := []string{"TOPIC orders LITERAL READ", "TOPIC orders LITERAL WRITE", "TOPIC ord PREFIXED READ", "TOPIC * LITERAL DESCRIBE", "GROUP g LITERAL READ", "GROUP own LITERAL READ",
		"CLUSTER kafka-cluster LITERAL DESCRIBE", "TRANSACTIONAL_ID tx LITERAL WRITE", "GROUP bad LITERAL READ DENY"}
	p.putACLs(p.sides.Source.Admin(), "at the source", parseACLs(src...))
	want := []string{"CLUSTER kafka-cluster LITERAL DESCRIBE", "GROUP bad LITERAL READ DENY", "GROUP g LITERAL READ", "GROUP own LITERAL READ",
		"TOPIC A. PREFIXED DESCRIBE", "TOPIC A.ord PREFIXED READ", "TOPIC A.orders LITERAL READ", "TRANSACTIONAL_ID tx LITERAL WRITE"}

	if p.from.Real() { // kfake doesn't know these
		p.putACLs(p.sides.Source.Admin(), "at the source", parseACLs("DELEGATION_TOKEN tok LITERAL DESCRIBE", "USER User:x LITERAL CREATE_TOKENS"))
		want = slices.Sorted(slices.Values(append(want, "DELEGATION_TOKEN tok LITERAL DESCRIBE", "USER User:x LITERAL CREATE_TOKENS")))
	}

	s := NewACLs(p.sides, WritesWithheld)
	plan, _, err := s.Plan(ctxOf(t), v)
	if err != nil || len(plan.Create) != len(want)-1 || len(plan.Withheld) != 1 {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	s = NewACLs(p.sides, WritesWithheld)
	r := sync1(t, s, v)
	if got := kinds(r); !slices.Equal(got, []string{"acls_withheld"}) || r.Withheld != 1 || r.Changed != len(want)-1 {
		t.Errorf("report %+v", r)
	}
	p.expectACLs(want)
	withheld, err := readPages[ACL](p.ledger(), s.withheldKey())
	if err != nil || !slices.Equal(lines(withheld), []string{"TOPIC A.orders LITERAL WRITE"}) {
		t.Errorf("the ledger has %v withheld, %v", withheld, err)
	}

	p.dropACLs(p.sides.Source.Admin(), parseACLs("GROUP g LITERAL READ", "GROUP own LITERAL READ", "TOPIC * LITERAL DESCRIBE"))
	p.sides.Ledger = p.ledger()
	s = NewACLs(p.sides, WritesWithheld)
	gone := []string{"GROUP g LITERAL READ", "TOPIC A. PREFIXED DESCRIBE"}
	want = slices.DeleteFunc(want, func(l string) bool { return slices.Contains(gone, l) })
	testkafka.Eventually(t, time.Minute, func(context.Context) error { // brokers hear of it a moment later
		sync1(t, s, v)
		if got := p.acls(); !slices.Equal(got, want) {
			return errors.New(cmp.Diff(want, got))
		}
		return nil
	})
	sync1(t, s, v)
	p.expectACLs(want)
	owned, err := readPages[ACL](p.ledger(), s.sides.key("acls"))
	if err != nil || len(owned) != len(want)-1 {
		t.Errorf("the ledger has %v, %v", lines(owned), err)
	}
}

func (p *pair) acls() []string {
	p.t.Helper()
	acls, _, err := describeACLs(ctxOf(p.t), p.sides.Target)
	if err != nil {
		p.t.Fatal(err)
	}
	return lines(slices.DeleteFunc(acls, func(a ACL) bool { return a.Principal != "User:app" }))
}

func (p *pair) expectACLs(want []string) {
	p.t.Helper()
	testkafka.Eventually(p.t, time.Minute, func(context.Context) error {
		if d := cmp.Diff(want, p.acls()); d != "" {
			return errors.New("ACLs (-want +got):\n" + d)
		}
		return nil
	})
}
