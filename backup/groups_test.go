package backup_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/storage"
)

// A group that the last snapshot has and the source lacks is carried as absent since then, with its offsets.
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
