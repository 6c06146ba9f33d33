package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// secure is a cluster with topics and users that may write them.
func secure(t *testing.T, cl testkafka.Cluster, users ...string) (testkafka.Secured, map[string]*kgo.Client) {
	t.Helper()
	s := cl.(testkafka.Secured)
	adm := kadm.NewClient(testkafka.Client(t, s))
	if _, err := adm.CreateTopics(t.Context(), 2, -1, nil, "orders", "other"); err != nil {
		t.Fatal(err)
	}
	clients := map[string]*kgo.Client{}
	for _, u := range users {
		s.CreateUser(t, u, "secret-"+u)
		testkafka.Allow(t, s, u, kadm.NewACLs().Topics("orders", "other").Operations(kadm.OpWrite, kadm.OpDescribe, kadm.OpRead))
		cl, err := kgo.NewClient(append(s.UserOpts(u, "secret-"+u), kgo.RecordRetries(0), kgo.UnknownTopicRetries(0))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		clients[u] = cl
	}
	return s, clients
}

func produce(t *testing.T, cl *kgo.Client, topic string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr()
}

// writes waits until a user may write or not: brokers take a moment to see what has changed.
func writes(t *testing.T, cl *kgo.Client, topic string, may bool) {
	t.Helper()
	testkafka.Eventually(t, 30*time.Second, func(context.Context) error {
		err := produce(t, cl, topic)
		if may != (err == nil) || err != nil && !errors.Is(err, kerr.TopicAuthorizationFailed) {
			return errors.Join(errors.New("may write, or mayn't"), err)
		}
		return nil
	})
}

func acls(t *testing.T, cl testkafka.Cluster) []kadm.DescribedACL {
	t.Helper()
	b := kadm.NewACLs().AnyResource().ResourcePatternType(kadm.ACLPatternAny).Operations(kadm.OpAny).Allow().AllowHosts().Deny().DenyHosts()
	res, err := kadm.NewClient(testkafka.Client(t, cl)).DescribeACLs(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	var all []kadm.DescribedACL
	for _, r := range res {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		all = append(all, r.Described...)
	}
	slices.SortFunc(all, func(a, b kadm.DescribedACL) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return all
}

func testDenyWrites(t *testing.T, cl testkafka.Cluster) {
	s, users := secure(t, cl, "app", "mirror")
	writes(t, users["app"], "orders", true)
	writes(t, users["mirror"], "orders", true)
	before := acls(t, s)
	req := FenceRequest{Scope: "default", Cluster: failover.Cluster{Name: "a", Opts: s.UserOpts("app", "secret-app")}, Topics: []string{"orders"}}
	opts := func(string) []kgo.Opt { return s.Opts() }

	if ok, err := (DenyWrites{}).Fence(t.Context(), req); ok || err == nil {
		t.Errorf("a user who may not alter ACLs has fenced: %v", err)
	}
	for _, d := range []DenyWrites{{Opts: opts}, {Opts: opts, Except: []string{"User:mirror"}}} {
		for range 2 {
			ok, err := d.Fence(t.Context(), req)
			if !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		// The very next request is refused.
		if err := produce(t, users["app"], "orders"); !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("fenced, and writes: %v", err)
		}
		if err := produce(t, users["app"], "other"); err != nil {
			t.Error(err)
		}
		if err := produce(t, users["mirror"], "orders"); (err == nil) != (len(d.Except) > 0) {
			t.Errorf("mirror, with Except %v: %v", d.Except, err)
		}
		for range 2 {
			if err := d.Lift(t.Context(), req); err != nil {
				t.Fatal(err)
			}
		}
		writes(t, users["app"], "orders", true)
		if diff := cmp.Diff(before, acls(t, s)); diff != "" {
			t.Errorf("after lifting: %s", diff)
		}
	}
	unshown(t, s, req)
	testkafka.Allow(t, s, "*", kadm.NewACLs().Topics("orders").Operations(kadm.OpWrite))
	if ok, err := (DenyWrites{Opts: opts, Except: []string{"User:mirror"}}).Fence(t.Context(), req); ok || err == nil {
		t.Error("everybody may write, and one is excepted")
	}
}

// unshown: a fence is believed only where every application is refused; what is sent to find that
// out is never written.
func unshown(t *testing.T, s testkafka.Secured, req FenceRequest) {
	t.Helper()
	opts := func(string) []kgo.Opt { return s.Opts() }
	user := func(name string) []kgo.Opt { return s.UserOpts(name, "secret-"+name) }
	before := logEnds(t, s)
	for name, c := range map[string]struct {
		fence DenyWrites
		super bool // the cluster's own options
		want  error
	}{
		"a super user":         {DenyWrites{Opts: opts}, true, errUnshown},
		"one of three":         {DenyWrites{Opts: opts, Applications: func(string) [][]kgo.Opt { return [][]kgo.Opt{user("app"), s.Opts(), user("mirror")} }}, false, errUnshown},
		"one that is excepted": {DenyWrites{Opts: opts, Except: []string{"User:mirror"}, Applications: func(string) [][]kgo.Opt { return [][]kgo.Opt{user("mirror")} }}, false, errUnshown},
		"none is known":        {DenyWrites{Opts: opts, Applications: func(string) [][]kgo.Opt { return nil }}, false, errUnshown},
		"trusted":              {DenyWrites{Opts: opts, Trust: true}, true, nil},
		"both":                 {DenyWrites{Opts: opts, Applications: func(string) [][]kgo.Opt { return [][]kgo.Opt{user("app"), user("mirror")} }}, true, nil},
	} {
		r := req
		if c.super {
			r.Cluster.Opts = s.Opts()
		}
		ok, err := c.fence.Fence(t.Context(), r)
		if ok != (c.want == nil) || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
		if err := c.fence.Lift(t.Context(), r); err != nil {
			t.Error(err)
		}
	}
	corrupt := 0
	for broker, err := range askedOfEach(t, s, req) {
		switch {
		case errors.Is(err, kerr.CorruptMessage):
			corrupt++
		case !errors.Is(err, kerr.NotLeaderForPartition):
			t.Errorf("broker %d, of one who may write: %v", broker, err)
		}
	}
	if corrupt == 0 {
		t.Error("no leader has looked at the CRC")
	}
	if diff := cmp.Diff(before, logEnds(t, s)); diff != "" {
		t.Errorf("records were written: %s", diff)
	}
}

// askedOfEach are the brokers' answers to a super user.
func askedOfEach(t *testing.T, s testkafka.Secured, req FenceRequest) map[int32]error {
	t.Helper()
	cl, err := admin(t.Context(), req.Cluster, func(string) []kgo.Opt { return s.Opts() })
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	p, err := unwritable(t.Context(), cl, req.Topics)
	if err != nil {
		t.Fatal(err)
	}
	brokers, err := cl.Admin().ListBrokers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answers := map[int32]error{}
	for _, b := range brokers {
		answers[b.NodeID] = refused(t.Context(), cl, b.NodeID, p)
	}
	return answers
}

func logEnds(t *testing.T, cl testkafka.Cluster) map[int32]int64 {
	t.Helper()
	os, err := kadm.NewClient(testkafka.Client(t, cl)).ListEndOffsets(t.Context(), "orders")
	if err != nil || os.Error() != nil {
		t.Fatal(err, os.Error())
	}
	ends := map[int32]int64{}
	os.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	return ends
}

func TestDenyWrites(t *testing.T) {
	testDenyWrites(t, testkafka.Fake(t, testkafka.Options{Secure: true}))
}

func TestDenyWritesReal(t *testing.T) {
	testDenyWrites(t, testkafka.Real(t, testkafka.Options{Secure: true, Brokers: 3}))
}

// TestSecureSwitch fences the old cluster, so that nobody waits for the lease, and grants on the
// new one.
func TestSecureSwitch(t *testing.T) {
	a, usersA := secure(t, testkafka.Fake(t, testkafka.Options{Secure: true}), "app")
	b := testkafka.Fake(t, testkafka.Options{Secure: true}).(testkafka.Secured)
	if _, err := kadm.NewClient(testkafka.Client(t, b)).CreateTopics(t.Context(), 2, 1, nil, "orders", "other"); err != nil {
		t.Fatal(err)
	}
	b.CreateUser(t, "app", "secret-app")
	testkafka.Allow(t, b, "app", kadm.NewACLs().Topics("orders", "other").Operations(kadm.OpDescribe))
	write := kmsg.NewCreateACLsRequestCreation()
	write.ResourceType, write.ResourceName, write.ResourcePatternType = kmsg.ACLResourceTypeTopic, "o", kmsg.ACLResourcePatternTypePrefixed
	write.Principal, write.Host, write.Operation, write.PermissionType = "User:app", "*", kmsg.ACLOperationWrite, kmsg.ACLPermissionTypeAllow
	opts := func(cluster string) []kgo.Opt { return map[string][]kgo.Opt{"a": a.Opts(), "b": b.Opts()}[cluster] }

	cfg := Config{
		Clusters: []failover.Cluster{{Name: "a", Opts: a.UserOpts("app", "secret-app")}, {Name: "b", Opts: b.UserOpts("app", "secret-app")}},
		Register: register.NewMemory(), Lease: time.Hour,
		Switch: SwitchConfig{Fence: DenyWrites{Opts: opts}, Rights: GrantWrites{Opts: opts, ACLs: []kmsg.CreateACLsRequestCreation{write}}},
	}
	begin(t, cfg)
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Plan(t.Context(), "b", Failover)
	if err != nil {
		t.Fatal(err)
	}
	report, err := p.Run(t.Context())
	if err != nil || !report.FenceConfirmed {
		t.Fatal(err, report, p)
	}
	if err := produce(t, usersA["app"], "orders"); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Error(err)
	}
	cl, err := kgo.NewClient(b.UserOpts("app", "secret-app")...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := produce(t, cl, "orders"); err != nil {
		t.Error(err)
	}
	// Back, by force: the other is fenced, the first one free again.
	cfg = c.cfg
	cfg.Switch.IgnoreTail = true
	c2, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = c2.Plan(t.Context(), "a", Failover); err != nil {
		t.Fatal(err)
	}
	if report, err = p.Run(t.Context()); err != nil || !report.FenceConfirmed {
		t.Fatal(err, report, p)
	}
	if err := produce(t, usersA["app"], "orders"); err != nil {
		t.Error(err)
	}
	if err := produce(t, cl, "orders"); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Error(err)
	}
}
