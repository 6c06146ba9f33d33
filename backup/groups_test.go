package backup_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/storage"
)

// A group that the last snapshot has and the source lacks is carried as absent since then, with its
// offsets.
func TestRunAbsentGroup(t *testing.T) {
	c := fake(t, kfake.NumBrokers(2), kfake.SeedTopics(1, "orders"))
	produce(t, c, "orders", 0, 0, 10, 4)
	cl, err := kgo.NewClient(source(c)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	adm := kadm.NewClient(cl)
	for _, group := range []string{"stays", "goes"} {
		var os kadm.Offsets
		os.Add(kadm.Offset{Topic: "orders", At: 7, LeaderEpoch: 3, Metadata: "m"})
		if err := adm.CommitAllOffsets(t.Context(), group, os); err != nil {
			t.Fatal(err)
		}
	}
	a := archive(t, bucket(t))
	groups := func() map[string]storage.Group {
		r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a})
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]storage.Group{}
		for g, err := range open(t, a, r.Snapshot.ID).Groups(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			byName[g.Name] = g
		}
		return byName
	}
	if g := groups()["goes"]; !g.AbsentSince.IsZero() || len(g.Offsets) != 1 || g.Offsets[0].LeaderEpoch != 3 {
		t.Fatalf("%+v", g)
	}
	if _, err := adm.DeleteGroup(t.Context(), "goes"); err != nil {
		t.Fatal(err)
	}
	gone := groups()["goes"]
	if gone.AbsentSince.IsZero() || len(gone.Offsets) != 1 || gone.Offsets[0].Offset != 7 || *gone.Offsets[0].Metadata != "m" {
		t.Errorf("%+v", gone)
	}
	again := groups()
	if g := again["goes"]; !g.AbsentSince.Equal(gone.AbsentSince) {
		t.Errorf("absent since %v, then since %v", gone.AbsentSince, g.AbsentSince)
	}
	if g := again["stays"]; !g.AbsentSince.IsZero() {
		t.Errorf("%+v", g)
	}
}

// The right to describe groups is taken away: the records are complete, the groups are named, and
// what the archive had of them is carried with its age.
func TestRunGroupsDenied(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	produce(t, c, "orders", 0, 0, 10, 4)
	cl, err := kgo.NewClient(source(c)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: "orders", At: 7})
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "app\n1", os); err != nil {
		t.Fatal(err)
	}
	a := archive(t, bucket(t))
	cfg := backup.Config{Source: source(c), Archive: a}
	first, err := backup.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	denyGroups(c)
	age := first.Snapshot.CreatedAt.UTC().Format(time.RFC3339)
	produce(t, c, "orders", 0, 10, 10, 4)
	for range 2 { // the age is that of the first
		r, err := backup.Run(t.Context(), cfg)
		var unread *backup.GroupsError
		if !errors.As(err, &unread) || len(unread.Groups) != 1 || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), `app\n1`) {
			t.Fatalf("%v", err)
		}
		if !r.Snapshot.Complete {
			t.Errorf("%+v", r.Snapshot)
		}
		g := groupOf(t, a, r.Snapshot.ID, "app\n1")
		if len(g.Offsets) != 1 || g.Offsets[0].Offset != 7 || !strings.Contains(g.Error, "GROUP_AUTHORIZATION_FAILED") || !strings.HasSuffix(g.Error, " "+age) || !g.AbsentSince.IsZero() {
			t.Errorf("%+v, of %s", g, age)
		}
		if p := stateOf(t, open(t, a, r.Snapshot.ID), "orders", 0); p.Records != 20 {
			t.Errorf("%+v", p)
		}
	}
	var unread *backup.GroupsError
	if _, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: archive(t, bucket(t))}); !errors.As(err, &unread) || unread.Unread == "" {
		t.Errorf("with an empty archive: %v", err)
	}
	cfg.SkipGroups = true
	r, err := backup.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if g := groupOf(t, a, r.Snapshot.ID, "app\n1"); len(g.Offsets) != 1 || !strings.HasSuffix(g.Error, " "+age) {
		t.Errorf("%+v, of %s", g, age)
	}
}

func groupOf(t testing.TB, a *storage.Archive, id, name string) storage.Group {
	t.Helper()
	for g, err := range open(t, a, id).Groups(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if g.Name == name {
			return g
		}
	}
	t.Fatalf("no group %q", name)
	return storage.Group{}
}

// denyGroups has a cluster do what brokers do for who may not describe groups: they list none, and
// tell nothing of those that are asked for.
func denyGroups(c *kfake.Cluster) {
	c.ControlKey(int16(kmsg.ListGroups), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return req.ResponseKind(), nil, true
	})
	c.ControlKey(int16(kmsg.OffsetFetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.OffsetFetchRequest)
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		for _, g := range req.Groups {
			rg := kmsg.NewOffsetFetchResponseGroup()
			rg.Group, rg.ErrorCode = g.Group, kerr.GroupAuthorizationFailed.Code
			resp.Groups = append(resp.Groups, rg)
		}
		return resp, nil, true
	})
}
