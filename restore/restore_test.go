package restore

import (
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/internal/testpass"
)

// connectTo connects to a test cluster.
func connectTo(t testing.TB, cl testkafka.Cluster) *rawkafka.Cluster {
	t.Helper()
	c, err := rawkafka.Connect(t.Context(), cl.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// onTarget reads a target partition: where it starts and ends, and each offset between.
func onTarget(t testing.TB, c *rawkafka.Cluster, topic string, partition int32) (places []opstest.Place, start, end int64) {
	t.Helper()
	ctx := t.Context()
	meta, err := c.Topics(ctx, topic)
	if err != nil || meta[topic].Err != nil {
		t.Fatal(err, meta[topic].Err)
	}
	p := rawkafka.Partition{Topic: topic, TopicID: meta[topic].ID, Partition: partition}
	if start, err = one(ctx, c, p, rawkafka.Earliest, rawkafka.Consumer); err != nil {
		t.Fatal(err)
	}
	if end, err = one(ctx, c, p, rawkafka.Latest, rawkafka.Consumer); err != nil {
		t.Fatal(err)
	}
	at := map[int64]opstest.Place{}
	rr := &recordReader{src: newTargetSource(ctx, c, p, start, end), next: start, end: end}
	for {
		r, err := rr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		at[r.Offset] = opstest.Place{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: string(r.Key), Value: string(r.Value), Headers: len(r.Headers)}
	}
	for o := start; o < end; o++ {
		pl, ok := at[o]
		if !ok {
			pl = opstest.Place{Offset: o, Hole: true}
		}
		places = append(places, pl)
	}
	return places, start, end
}

// checkTopics compares the target with the model.
func checkTopics(t testing.TB, cl testkafka.Cluster, f copyops.Filter, topics ...fakeTopic) {
	t.Helper()
	c := connectTo(t, cl)
	for _, ft := range topics {
		for p, h := range ft.partitions {
			want, wantEnd := opstest.Expected(t, h, f)
			got, start, end := onTarget(t, c, ft.name, int32(p))
			if start != h.Start || end != wantEnd {
				t.Errorf("%s/%d: [%d,%d), want [%d,%d)", ft.name, p, start, end, h.Start, wantEnd)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s/%d: (-want +got)\n%s", ft.name, p, diff)
			}
		}
	}
}

// Whatever the history and the filter, a consumer of the target sees what one of the source saw, at
// the same offsets.
func TestRestoreRandomHistories(t *testing.T) {
	for _, seed := range testpass.Few(t, 2, testpass.Seeds(6)) {
		r := rand.New(rand.NewPCG(seed, 2))
		topics := randomTopics(t, r, "a", "b", "Orders", "orders")
		f := opstest.RandomFilter(r)
		cfg, cl := fakeConfig(t, fakeArchive(t, nil, topics...))
		cfg.Until, cfg.Edit = f.Until, f.Edit
		f.MaxBatch = 0
		restored(t, cfg)
		checkTopics(t, cl, f, topics...)
		p, err := NewPlan(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Conflicts) > 0 || p.Records != 0 {
			t.Errorf("a complete target: %d records to do, conflicts %v", p.Records, p.Conflicts)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
