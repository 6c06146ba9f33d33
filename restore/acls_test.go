package restore

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// ACLs that a backup read from a cluster with an authorizer come back: those of restored topics
// under their new names, prefixed ones with the prefix in front, groups' as they are, and those of
// topics that aren't restored not at all.
func TestRealACLs(t *testing.T) {
	cl := testkafka.Real(t, testkafka.Options{Secure: true})
	client, err := kgo.NewClient(cl.Opts()...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	testkafka.Create(t, cl, 1, 1, nil, "orders", "other")
	allow := func(b *kadm.ACLBuilder) {
		t.Helper()
		rs, err := adm.CreateACLs(t.Context(), b.Allow("User:app").AllowHosts("*"))
		for _, r := range rs {
			if r.Err != nil {
				err = r.Err
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	allow(kadm.NewACLs().ResourcePatternType(kadm.ACLPatternLiteral).Topics("orders", "other").Operations(kadm.OpRead))
	allow(kadm.NewACLs().ResourcePatternType(kadm.ACLPatternPrefixed).Topics("ord").Operations(kadm.OpWrite))
	allow(kadm.NewACLs().ResourcePatternType(kadm.ACLPatternLiteral).Groups("billing").Operations(kadm.OpRead))

	archive := openDir(t, t.TempDir())
	if _, err := backup.Run(t.Context(), backup.Config{Source: cl.Opts(), Archive: archive, Topics: []string{"orders"}}); err != nil {
		t.Fatal(err)
	}
	snapshot, err := archive.Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := aclsOf(t, adm)
	plan, err := NewPlan(t.Context(), Config{Target: cl.Opts(), Snapshot: snapshot, Prefix: "new.", SameCluster: true, ACLs: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Conflicts) > 0 || plan.ACLs != 3 {
		t.Fatalf("%d ACLs, conflicts %v", plan.ACLs, plan.Conflicts)
	}
	if _, err := plan.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	added := slices.DeleteFunc(aclsOf(t, adm), func(a string) bool { return slices.Contains(before, a) })
	want := []string{"TOPIC new.ord PREFIXED User:app WRITE ALLOW", "TOPIC new.orders LITERAL User:app READ ALLOW"}
	if d := cmp.Diff(want, added); d != "" {
		t.Errorf("ACLs that were added (-want +got):\n%s", d)
	}
}

// aclsOf are all of the cluster's entries.
func aclsOf(t *testing.T, adm *kadm.Client) []string {
	t.Helper()
	rs, err := adm.DescribeACLs(t.Context(), kadm.NewACLs().ResourcePatternType(kadm.ACLPatternAny).AnyResource().Operations().Allow().AllowHosts().Deny().DenyHosts())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rs {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		for _, d := range r.Described {
			all = append(all, d.Type.String()+" "+d.Name+" "+d.Pattern.String()+" "+d.Principal+" "+d.Operation.String()+" "+d.Permission.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
