package restore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

const (
	lostTopics  = 3
	lostRecords = 40 // of each partition
	lostCommits = 4
)

func lostTopic(i int) string         { return fmt.Sprintf("topic-%d", i) }
func lostValue(i, offset int) string { return fmt.Sprintf("topic %d at %d", i, offset) }

// lostArchive has three topics, in segments of their own and in one that they share in turn.
func lostArchive(t *testing.T) map[string][]byte {
	t.Helper()
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	a, err := storage.Open(t.Context(), b, storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := a.NewWriter(t.Context(), storage.Lineage{ClusterID: testCluster}, storage.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	step := lostRecords / lostCommits
	for n := range lostCommits {
		c := storage.Change{CreatedAt: time.Unix(1000, 0)}
		var s *storage.SegmentWriter
		for i := range lostTopics {
			p := segment.Partition{Topic: kadm.TopicID{1: byte(i + 1)}}
			if s == nil {
				if s, err = w.NewSegment(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for o := n * step; o < (n+1)*step; o += 5 {
				var rs []*kgo.Record
				for k := o; k < o+5; k++ {
					rs = append(rs, &kgo.Record{Offset: int64(k), Value: []byte(lostValue(i, k)), Timestamp: time.UnixMilli(1)})
				}
				raw, err := batch.Append(nil, int64(o), kgo.NoCompression(), rs...)
				if err != nil {
					t.Fatal(err)
				}
				batch, err := batch.Parse(raw)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Append(p, batch); err != nil {
					t.Fatal(err)
				}
			}
			c.Topics = append(c.Topics, storage.Topic{ID: p.Topic, Name: lostTopic(i), Partitions: 1, ReplicationFactor: 1})
			c.Partitions = append(c.Partitions, storage.PartitionState{Partition: p, EndOffset: int64((n + 1) * step)})
			if n%2 == 0 || i == lostTopics-1 {
				closed, err := s.Close()
				if err != nil {
					t.Fatal(err)
				}
				c.Segments, s = append(c.Segments, closed), nil
			}
		}
		if _, err := w.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return objectsOf(t, b)
}

// objectsOf are all objects of a bucket, by key.
func objectsOf(t *testing.T, b *blob.Bucket) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for it := b.List(nil); ; {
		o, err := it.Next(t.Context())
		if err != nil {
			return all
		}
		if all[o.Key], err = b.ReadAll(t.Context(), o.Key); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEachObjectLost deletes, flips or cuts each object of an archive, one at a time: what restores
// equals the source, what doesn't is named, and is at most the runs that the object held.
func TestEachObjectLost(t *testing.T) {
	all := lostArchive(t)
	flips := 1
	if os.Getenv("KAFKADR_LONG") != "" {
		flips = 50
	}
	for key, raw := range all {
		t.Run(key[strings.LastIndexByte(key, '/')+1:], func(t *testing.T) {
			lostObject(t, all, key, nil)
			if len(raw) == 0 {
				return
			}
			lostObject(t, all, key, raw[:len(raw)/2])
			for range flips {
				flipped := append([]byte(nil), raw...)
				flipped[rand.IntN(len(raw))] ^= 1 << rand.IntN(8)
				lostObject(t, all, key, flipped)
			}
		})
	}
}

func lostObject(t *testing.T, all map[string][]byte, key string, instead []byte) {
	t.Helper()
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	put := func(key string, raw []byte) {
		if err := b.WriteAll(t.Context(), key, raw, nil); err != nil {
			t.Fatal(err)
		}
	}
	for k, raw := range all {
		put(k, raw)
	}
	held := heldBy(t, b, key)
	if instead == nil {
		if err := b.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	} else {
		put(key, instead)
	}
	wantDamage := func(err error) {
		t.Helper()
		var damage *storage.DamageError
		var version *storage.VersionError
		if strings.Contains(key, "/seg/") || !errors.As(err, &damage) && !errors.As(err, &version) {
			t.Errorf("%s: %v", key, err)
		}
	}
	a, err := storage.Open(t.Context(), b, storage.Config{ReadOnly: true})
	if err != nil {
		wantDamage(err)
		return
	}
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		wantDamage(err)
		return
	}
	cfg, cl := fakeConfig(t, s)
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		wantDamage(err)
		return
	}
	for _, c := range p.Conflicts {
		if c.Kind != "damaged" || !held[c.Topic][c.Offset] {
			t.Errorf("%s: conflict %s", key, c)
		}
	}
	cfg.SkipDamaged = true
	if p, err = NewPlan(t.Context(), cfg); err != nil {
		wantDamage(err)
		return
	}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	c := connectTo(t, cl)
	for i := range lostTopics {
		places, _, end := onTarget(t, c, lostTopic(i), 0)
		if end != lostRecords || len(places) != lostRecords {
			t.Fatalf("%s: %s ends at %d, %d places", key, lostTopic(i), end, len(places))
		}
		for o, place := range places {
			lostPlace(t, key, i, o, place, held[lostTopic(i)][int64(o)], strings.Join(p.Warnings, "\n"))
		}
	}
}

// lostPlace wants the source's record, or a hole where the object held it and a warning says so.
func lostPlace(t *testing.T, key string, topic, offset int, place opstest.Place, held bool, warnings string) {
	t.Helper()
	if !place.Hole {
		if place.Value != lostValue(topic, offset) {
			t.Fatalf("%s: %s at %d holds %q", key, lostTopic(topic), offset, place.Value)
		}
		return
	}
	if !held || !strings.Contains(warnings, lostTopic(topic)+"/0 at") {
		t.Fatalf("%s: %s at %d is a hole; held by the object: %v; warnings: %s", key, lostTopic(topic), offset, held, warnings)
	}
}

// heldBy are the offsets of each topic that an object holds.
func heldBy(t *testing.T, b *blob.Bucket, key string) map[string]map[int64]bool {
	t.Helper()
	a, err := storage.Open(t.Context(), b, storage.Config{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]map[int64]bool{}
	for topic, err := range s.Topics(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		held[topic.Name] = map[int64]bool{}
		for r, err := range s.Runs(t.Context(), segment.Partition{Topic: topic.ID}, 0, 0) {
			if err != nil {
				t.Fatal(err)
			}
			for o := r.BaseOffset; o < r.EndOffset && r.Object == key; o++ {
				held[topic.Name][o] = true
			}
		}
	}
	return held
}
