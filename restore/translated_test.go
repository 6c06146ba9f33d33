package restore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/storage"
)

const foreign = "somebody else's"

// existing makes the topics on the target, with some records of others in each partition.
func existing(t testing.TB, cl testkafka.Cluster, configs map[string]*string, topics ...fakeTopic) {
	t.Helper()
	for _, ft := range topics {
		testkafka.Create(t, cl, int32(len(ft.partitions)), 1, configs, ft.name)
		for p := range ft.partitions {
			others(t, cl, ft.name, int32(p), 5+p)
		}
	}
}

// others produces n records that aren't the archive's.
func others(t testing.TB, cl testkafka.Cluster, topic string, partition int32, n int) {
	t.Helper()
	c := testkafka.Client(t, cl, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	var rs []*kgo.Record
	for i := range n {
		rs = append(rs, &kgo.Record{Topic: topic, Partition: partition, Key: []byte(foreign), Value: fmt.Append(nil, i)})
	}
	if err := c.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// producing has somebody else write to the topics' first partitions until stop is called.
func producing(t testing.TB, cl testkafka.Cluster, topics ...fakeTopic) (stop func()) {
	t.Helper()
	c := testkafka.Client(t, cl, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			for _, ft := range topics {
				c.ProduceSync(ctx, &kgo.Record{Topic: ft.name, Key: []byte(foreign), Value: fmt.Append(nil, i)})
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

func translatedConfig(t testing.TB, s *storage.Snapshot) (Config, testkafka.Cluster) {
	t.Helper()
	cfg, cl := fakeConfig(t, s)
	cfg.Offsets = Translated
	return cfg, cl
}

// mapOf is the map of a partition.
func mapOf(t testing.TB, maps []*offsets.Map, topic string, partition int32) *offsets.Map {
	t.Helper()
	for _, m := range maps {
		if m.ID().Topic == topic && m.ID().Partition == partition {
			return m
		}
	}
	t.Fatalf("no map of %s/%d", topic, partition)
	return nil
}

// checkTranslated holds that the target has each visible record of the archive once and in order,
// where the map says, and that all else on it is others'.
func checkTranslated(t testing.TB, cl testkafka.Cluster, f copyops.Filter, maps []*offsets.Map, topics ...fakeTopic) {
	t.Helper()
	c := connectTo(t, cl)
	for _, ft := range topics {
		for p, h := range ft.partitions {
			want, end := opstest.Expected(t, h, f)
			got, start, _ := onTarget(t, c, ft.name, int32(p))
			m := mapOf(t, maps, ft.name, int32(p))
			var ours []opstest.Place
			for _, g := range got {
				if !g.Hole && g.Key != foreign {
					ours = append(ours, g)
				}
			}
			var mapped []opstest.Place
			for _, w := range want {
				at, how := m.Translate(w.Offset)
				if w.Hole != (how != offsets.HowExact) {
					t.Errorf("%s/%d: %d is a hole: %v, and translates %s", ft.name, p, w.Offset, w.Hole, how)
				}
				if w.Hole {
					continue
				}
				back, how := m.Inverse(at)
				if back != w.Offset || how != offsets.HowExact {
					t.Errorf("%s/%d: %d translates to %d, and that to %d %s", ft.name, p, w.Offset, at, back, how)
				}
				w.Offset = at
				mapped = append(mapped, w)
			}
			if diff := cmp.Diff(mapped, ours); diff != "" {
				t.Errorf("%s/%d from %d: (-archive, mapped +target)\n%s", ft.name, p, start, diff)
			}
			if m.UpstreamStart() != h.Start || m.UpstreamEnd() != end {
				t.Errorf("%s/%d: the map is of [%d,%d), want [%d,%d)", ft.name, p, m.UpstreamStart(), m.UpstreamEnd(), h.Start, end)
			}
		}
	}
}

// planned is a plan without conflicts.
func planned(t testing.TB, cfg Config) *Plan {
	t.Helper()
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Conflicts) > 0 {
		t.Fatal(p.Conflicts)
	}
	return p
}

// Whatever the history and the filter, and whoever else writes: each visible record is appended
// once, in order, and the map says where. The same job again does nothing, and knows the same.
func TestTranslatedRandomHistories(t *testing.T) {
	for _, seed := range testpass.Few(t, 2, testpass.Seeds(8)) {
		r := rand.New(rand.NewPCG(seed, 11))
		topics := randomTopics(t, r, "a", "b", "c")
		f := opstest.RandomFilter(r)
		cfg, cl := translatedConfig(t, fakeArchive(t, nil, topics...))
		cfg.Until, cfg.Edit = f.Until, f.Edit
		f.MaxBatch = 0
		existing(t, cl, nil, topics[:2]...)
		stop := producing(t, cl, topics[:2]...)
		res := restored(t, cfg)
		stop()
		checkTranslated(t, cl, f, res.Maps, topics...)
		cfg.VerifyTarget = seed%2 == 0
		p := planned(t, cfg)
		if p.Records != 0 {
			t.Errorf("a complete job: %d records to do", p.Records)
		}
		again, err := p.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if again.Records != 0 {
			t.Errorf("a complete job appended %d records", again.Records)
		}
		checkTranslated(t, cl, f, again.Maps, topics...)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// Another snapshot is another job, and is appended behind.
func TestTranslatedTwice(t *testing.T) {
	topics := []fakeTopic{{name: "a", partitions: []opstest.History{plain(t, 3, 4, 5), plain(t, 0, 2, 2)}}}
	cfg, cl := translatedConfig(t, fakeArchive(t, nil, topics...))
	existing(t, cl, nil, topics...)
	first := restored(t, cfg)
	cfg.Snapshot = fakeArchive(t, nil, topics...)
	second := restored(t, cfg)
	if first.Records != 24 || second.Records != 24 {
		t.Errorf("%d and %d records, want 24", first.Records, second.Records)
	}
	for i, m := range second.Maps {
		if before := first.Maps[i]; m.DownstreamStart() < before.DownstreamEnd() {
			t.Errorf("the second begins at %d, the first ends at %d", m.DownstreamStart(), before.DownstreamEnd())
		}
		for r := range m.Runs() {
			if r.Downstream-r.Upstream < 5 {
				t.Errorf("run %v", r)
			}
		}
	}
}
