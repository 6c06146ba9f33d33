package restore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/segment"
)

const (
	nodeTopics  = 6
	nodeCommits = 50 // of one record in each topic
)

// nodeArchive has a manifest of many nodes in many entries.
func nodeArchive(t *testing.T) map[string][]byte {
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
	for n := range int64(nodeCommits) {
		c := storage.Change{CreatedAt: time.Unix(1000, 0), Flush: n%5 != 0}
		s, err := w.NewSegment(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range nodeTopics {
			p := segment.Partition{Topic: kadm.TopicID{1: byte(i + 1)}}
			raw, err := batch.Append(nil, n, kgo.NoCompression(), &kgo.Record{Offset: n, Value: []byte(lostValue(i, int(n))), Timestamp: time.UnixMilli(1)})
			if err != nil {
				t.Fatal(err)
			}
			one, err := batch.Parse(raw)
			if err == nil {
				err = s.Append(p, one)
			}
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				c.Topics = append(c.Topics, storage.Topic{ID: p.Topic, Name: lostTopic(i), Partitions: 1, ReplicationFactor: 1})
			}
			c.Partitions = append(c.Partitions, storage.PartitionState{Partition: p, EndOffset: n + 1})
		}
		closed, err := s.Close()
		if err != nil {
			t.Fatal(err)
		}
		c.Segments = []*storage.Closed{closed}
		if _, err := w.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return objectsOf(t, b)
}

// TestManifestNodeLost flips a byte of an entry of the log, or deletes it: what can be restored is
// the source's, what can't is a hole inside the offsets that the plan names, and no more is lost
// than the nodes of that entry can have held.
func TestManifestNodeLost(t *testing.T) {
	all := nodeArchive(t)
	var entries []string
	for key := range all {
		if strings.Contains(key, "/log/") {
			entries = append(entries, key)
		}
	}
	slices.Sort(entries)
	tries := 16
	if os.Getenv("KAFKADR_LONG") != "" {
		tries = 500
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	counts := map[string]int{}
	for try := range tries {
		key := entries[rnd.IntN(len(entries))]
		var instead []byte
		if try%2 > 0 {
			instead = bytes.Clone(all[key])
			instead[rnd.IntN(len(instead))] ^= 1 << rnd.IntN(8)
		}
		counts[lostNode(t, all, key, instead)]++
	}
	t.Logf("restored: %v", counts)
	if counts["in part"] == 0 || counts["not"] > tries/3 {
		t.Errorf("restored: %v", counts)
	}
}

// lostNode says what was restored.
func lostNode(t *testing.T, all map[string][]byte, key string, instead []byte) string {
	t.Helper()
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	for k, raw := range all {
		if k == key {
			raw = instead
		}
		if raw == nil && k == key {
			continue
		}
		if err := b.WriteAll(t.Context(), k, raw, nil); err != nil {
			t.Fatal(err)
		}
	}
	a, err := storage.Open(t.Context(), b, storage.Config{ReadOnly: true, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		wantSpoilt(t, key, err)
		return "not"
	}
	cfg, cl := fakeConfig(t, s)
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		wantSpoilt(t, key, err)
		return "not"
	}
	for _, c := range p.Conflicts {
		if c.Kind != kindDamaged || !strings.Contains(c.Detail, key) {
			t.Errorf("%s: conflict %s", key, c)
		}
	}
	refused := len(p.Conflicts) > 0
	cfg.SkipDamaged = true
	if p, err = NewPlan(t.Context(), cfg); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	c, warnings, left := connectTo(t, cl), strings.Join(p.Warnings, "\n"), 0
	for _, topic := range p.Topics {
		var i int
		if _, err := fmt.Sscanf(topic.Topic, "topic-%d", &i); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(warnings, topic.Topic+"/0: damaged") || strings.Contains(warnings, topic.Topic+"/0 at -1") {
			continue // nothing of it can be read
		}
		places, _, end := onTarget(t, c, topic.Topic, 0)
		if end != nodeCommits || len(places) != nodeCommits {
			t.Fatalf("%s: %s ends at %d, %d places; %s", key, topic.Topic, end, len(places), warnings)
		}
		for o, place := range places {
			switch {
			case !place.Hole && place.Value != lostValue(i, o):
				t.Fatalf("%s: %s at %d holds %q", key, topic.Topic, o, place.Value)
			case !place.Hole:
				left++
			case !named(p.Warnings, topic.Topic, o):
				t.Fatalf("%s: %s at %d is a hole that nothing names: %s", key, topic.Topic, o, warnings)
			}
		}
	}
	lost := nodeTopics*nodeCommits - left
	if refused != (lost > 0) {
		t.Errorf("%s: %d records are lost, refused: %v", key, lost, refused)
	}
	if lost == 0 {
		return "whole"
	}
	return "in part"
}

func wantSpoilt(t *testing.T, key string, err error) {
	t.Helper()
	var damage *storage.DamageError
	var version *storage.VersionError
	if !errors.As(err, &damage) && !errors.As(err, &version) {
		t.Errorf("%s: %v", key, err)
	}
}

// named says whether a warning has the offset of a topic's only partition.
func named(warnings []string, topic string, offset int) bool {
	for _, w := range warnings {
		var base, end int
		if _, after, ok := strings.Cut(w, "offsets "); ok && strings.Contains(w, topic+"/0 ") {
			if n, _ := fmt.Sscanf(after, "%d to %d", &base, &end); n == 2 && base <= offset && offset < end {
				return true
			}
		}
	}
	return false
}

// TestRefusedObject: an object that the store refuses to give is a conflict of its own kind, which
// SkipDamaged doesn't pass over; topics without it are restored.
func TestRefusedObject(t *testing.T) {
	inner := memblob.OpenBucket(nil)
	defer func() { _ = inner.Close() }()
	for key, raw := range lostArchive(t) {
		if err := inner.WriteAll(t.Context(), key, raw, nil); err != nil {
			t.Fatal(err)
		}
	}
	b, faults := faultbucket.New(inner)
	a, err := storage.Open(t.Context(), b, storage.Config{ReadOnly: true, Retries: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Latest(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg, _ := fakeConfig(t, s)
	key := segmentKey(t, inner) // of the first commit, and of one topic
	faults.Set(func(op faultbucket.Op) faultbucket.Fault {
		if op.Key == key && op.Kind != faultbucket.List {
			return faultbucket.Hide
		}
		return faultbucket.None
	})
	whole := 0
	for i := range lostTopics {
		for _, skip := range []bool{false, true} {
			cfg.Topics, cfg.SkipDamaged = []string{lostTopic(i)}, skip
			p, err := NewPlan(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Conflicts) == 0 {
				whole++
			}
			for _, c := range p.Conflicts {
				if c.Kind != kindUnreadable || !strings.Contains(c.Detail, key) || !strings.Contains(c.Detail, "isn't known to be damaged") {
					t.Errorf("%s", c)
				}
			}
		}
	}
	if whole != 2*(lostTopics-1) {
		t.Errorf("%d plans have no conflict", whole)
	}
}
