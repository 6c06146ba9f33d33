package backup_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/storage"
)

func TestVerifyFindsDamage(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	produce(t, c, "orders", 0, 0, 20, 4)
	produce(t, c, "orders", 1, 0, 20, 4)
	b := bucket(t)
	r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: archive(t, b)})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, archive(t, b), r.Snapshot.ID)
	var object storage.Object
	for o, err := range s.Objects(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		object = o
	}
	raw, err := b.ReadAll(t.Context(), object.Key)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, damaged []byte, kinds string) {
		t.Helper()
		replace(t, b, object.Key, damaged)
		a := archive(t, b)
		report, err := backup.Verify(t.Context(), a, open(t, a, r.Snapshot.ID), backup.VerifyOptions{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(report.Problems) == 0 {
			t.Fatalf("%s: not found", name)
		}
		named := false
		for _, p := range report.Problems {
			named = named || p.Topic == "orders" && p.EndOffset > p.BaseOffset && p.Object == object.Key
			if p.Kind != kinds {
				t.Errorf("%s: %+v", name, p)
			}
			if kinds != "damaged" && (p.Topic != "orders" || p.EndOffset <= p.BaseOffset || p.Object != object.Key) {
				t.Errorf("%s: a problem without its place: %+v", name, p)
			}
		}
		if !named && kinds != "damaged" {
			t.Errorf("%s: nothing names topic and offsets: %+v", name, report.Problems)
		}
	}
	for i := range raw {
		flipped := append([]byte(nil), raw...)
		flipped[i] ^= 1
		check("flipped", flipped, "damaged")
	}
	check("gone", nil, "missing_object")
	check("cut", raw[:len(raw)/2], "size")
	check("longer", append(append([]byte(nil), raw...), 0), "size")
	replace(t, b, object.Key, raw)
	verified(t, archive(t, b), s)
}

func replace(t testing.TB, b *blob.Bucket, key string, raw []byte) {
	t.Helper()
	_ = b.Delete(t.Context(), key) // it may be gone
	if raw == nil {
		return
	}
	if err := b.WriteAll(t.Context(), key, raw, nil); err != nil {
		t.Fatal(err)
	}
}

func TestVerifySample(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	a := archive(t, bucket(t))
	var last *backup.Result
	for i := range 30 {
		produce(t, c, "orders", 0, i, 1, 1)
		r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a})
		if err != nil {
			t.Fatal(err)
		}
		last = r
	}
	s := open(t, a, last.Snapshot.ID)
	report, err := backup.Verify(t.Context(), a, s, backup.VerifyOptions{Sample: 0.5})
	if err != nil || len(report.Problems) > 0 || report.Objects == 0 || report.Objects == 30 {
		t.Errorf("%+v %v", report, err)
	}
	report, err = backup.Verify(t.Context(), a, s, backup.VerifyOptions{Sample: 1e-9})
	if err != nil || report.Objects != 1 {
		t.Errorf("the smallest sample: %+v %v", report, err)
	}
}

// TestVerifyAbsurdPartitions: how many partitions a topic claims to have costs nothing.
func TestVerifyAbsurdPartitions(t *testing.T) {
	a := archive(t, bucket(t))
	w, err := a.NewWriter(t.Context(), storage.Lineage{ClusterID: "forged"}, storage.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := w.Commit(t.Context(), storage.Change{CreatedAt: time.Now(), Topics: []storage.Topic{{ID: kadm.TopicID{1}, Name: "x", Partitions: math.MaxInt32, ReplicationFactor: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := backup.Verify(t.Context(), a, open(t, a, info.ID), backup.VerifyOptions{}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
		t.Errorf("%d bytes were allocated", took)
	}
}
