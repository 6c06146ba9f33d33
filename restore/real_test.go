package restore

import (
	"math/rand/v2"
	"testing"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// realConfig restores s onto a real Kafka that tests share.
func realConfig(t testing.TB, s *storage.Snapshot) (Config, testkafka.Cluster) {
	t.Helper()
	cl := pool.Real(t, testkafka.Options{})
	return Config{Target: cl.Opts(), Snapshot: s}, cl
}

// As on kfake, on a real broker.
func TestRealRandomHistories(t *testing.T) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 3))
		topics := randomTopics(t, r, "real-a", "real-b", "real-Orders", "real-orders")
		f := randomFilter(r)
		cfg, cl := realConfig(t, fakeArchive(t, nil, topics...))
		cfg.Until, cfg.Edit, cfg.Prefix = f.until, f.edit, string('p'+rune(seed))+"."
		f.maxBatch = 0
		restored(t, cfg)
		for i := range topics {
			topics[i].name = cfg.Prefix + topics[i].name
		}
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
