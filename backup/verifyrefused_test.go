package backup_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage"
)

// TestVerifyRefused: what the store refuses to give is told object by object and isn't called
// damage; all else is verified.
func TestVerifyRefused(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	inner := bucket(t)
	b, faults := faultbucket.New(inner)
	produce(t, c, "orders", 0, 0, 20, 4)
	first, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: archive(t, b)})
	if err != nil {
		t.Fatal(err)
	}
	produce(t, c, "orders", 0, 20, 20, 4)
	r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: archive(t, b)})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for o, err := range open(t, archive(t, b), first.Snapshot.ID).Objects(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys[o.Key] = true
	}
	if len(keys) != 1 {
		t.Fatalf("%d objects", len(keys))
	}
	a, err := storage.Open(t.Context(), b, storage.Config{ReadOnly: true, Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	faults.Set(func(op faultbucket.Op) faultbucket.Fault {
		if keys[op.Key] && op.Kind != faultbucket.List {
			return faultbucket.Hide
		}
		return faultbucket.None
	})
	report, err := backup.Verify(t.Context(), a, open(t, a, r.Snapshot.ID), backup.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) == 0 || report.Damaged() || report.Objects == 0 {
		t.Errorf("%d objects were read, problems %+v", report.Objects, report.Problems)
	}
	for _, p := range report.Problems {
		if p.Kind != "unreadable" || !keys[p.Object] || p.Topic != "orders" || p.EndOffset <= p.BaseOffset {
			t.Errorf("%+v", p)
		}
	}
}
