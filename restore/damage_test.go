package restore

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// segmentKey finds the archive's only segment.
func segmentKey(t *testing.T, b *blob.Bucket) string {
	t.Helper()
	it := b.List(nil)
	for {
		o, err := it.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(o.Key, "/seg/") {
			return o.Key
		}
	}
}

// damage flips a byte of the last frame.
func damage(t *testing.T, b *blob.Bucket, s *storage.Snapshot) {
	t.Helper()
	key := segmentKey(t, b)
	raw, err := b.ReadAll(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/3] ^= 1
	if err := b.WriteAll(t.Context(), key, raw, nil); err != nil {
		t.Fatal(err)
	}
}

// A damaged frame is never produced, and the error says where; other partitions are restored.
// VerifyFirst finds it before any effect.
func TestDamagedFrame(t *testing.T) {
	for _, first := range []bool{false, true} {
		topic := fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 200, 10), plain(t, 0, 200, 10)}}
		s, b := fakeBucket(t, nil, topic)
		cfg, cl := fakeConfig(t, s)
		cfg.VerifyFirst = first
		damage(t, b, s)
		p, err := NewPlan(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Run(t.Context())
		var placed *PartitionError
		var damaged *storage.DamageError
		if !errors.As(err, &placed) || !errors.As(err, &damaged) || placed.Topic != "t" {
			t.Fatalf("%v, want the place of the damage", err)
		}
		topics, err := admin(t, cl).ListTopics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if first {
			if len(topics) != 0 {
				t.Errorf("topics %v before everything was verified", topics.Names())
			}
			continue
		}
		c := connectTo(t, cl)
		for i, h := range topic.partitions {
			want, _ := opstest.Expected(t, h, copyops.Filter{})
			got, _, end := onTarget(t, c, "t", int32(i))
			if int32(i) != placed.Partition && end != h.End {
				t.Errorf("the other partition ends at %d", end)
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("%v, want %v", got[i], want[i])
				}
			}
		}
	}
}

// A missing object is found by the plan.
func TestMissingObject(t *testing.T) {
	s, b := fakeBucket(t, nil, fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 2, 2)}})
	cfg, _ := fakeConfig(t, s)
	key := segmentKey(t, b)
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	wantDamaged(t, cfg, key)
}

// A damaged index is found by the plan.
func TestDamagedIndex(t *testing.T) {
	s, b := fakeBucket(t, nil, fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 2, 2)}})
	cfg, _ := fakeConfig(t, s)
	key := segmentKey(t, b)
	raw, err := b.ReadAll(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range s.Runs(t.Context(), segment.Partition{Topic: kadm.TopicID{15: 1}}, 0, 0) {
		if err != nil {
			t.Fatal(err)
		}
		raw[r.Block.Position+int64(r.Block.Length)/2] ^= 4
	}
	if err := b.WriteAll(t.Context(), key, raw, nil); err != nil {
		t.Fatal(err)
	}
	wantDamaged(t, cfg, key)
}

// wantDamaged wants a plan that names topic, partition, offsets and object as a conflict, and isn't
// run.
func wantDamaged(t *testing.T, cfg Config, object string) {
	t.Helper()
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Conflicts) == 0 {
		t.Fatal("no conflict")
	}
	for _, c := range p.Conflicts {
		if c.Kind != "damaged" || c.Topic != "t" || !strings.Contains(c.Detail, object) || !strings.Contains(c.Detail, "offsets ") {
			t.Errorf("%s", c)
		}
	}
	var refused *RefusedError
	if _, err := p.Run(t.Context()); !errors.As(err, &refused) {
		t.Errorf("run: %v", err)
	}
}
