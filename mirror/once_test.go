package mirror

import (
	"context"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// soon makes tests quick.
func soon() tuning {
	return tuning{retryFor: 5 * time.Second, quiet: 300 * time.Millisecond, lease: 200 * time.Millisecond, identity: time.Second, pause: 300 * time.Millisecond}
}

func quickConfig(src, dst testkafka.Cluster) Config {
	return Config{Source: src.Opts(), Target: dst.Opts(), Discover: 300 * time.Millisecond, GroupInterval: 300 * time.Millisecond, tuning: soon()}
}

// once mirrors once.
func once(t testing.TB, cfg Config) *Mirror {
	t.Helper()
	cfg.Once = true
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return m
}

// hardTopics are made on a cluster: those that it can make, but for transactions that stay open.
func hardTopics(t testing.TB, cl testkafka.Cluster, h testkafka.Hard) []string {
	t.Helper()
	return testkafka.Names(testkafka.Load(t, cl, h))
}

// same fails where the standby differs from the source.
func same(t testing.TB, src, dst testkafka.Cluster, topics []string) {
	t.Helper()
	for _, d := range testkafka.Diff(t, testkafka.ReadSpec{Opts: src.Opts(), Topics: topics}, testkafka.ReadSpec{Opts: dst.Opts(), Topics: topics}) {
		t.Error(d)
	}
}

func TestOnce(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	names := hardTopics(t, src, testkafka.Hard{ManyPartitions: 20})
	m := once(t, quickConfig(src, dst))
	same(t, src, dst, names)
	s := m.Status()
	if s.LagRecords != 0 || s.Stopped != 0 || s.Done != s.Partitions || s.RPO.Unknown != 0 {
		t.Errorf("%+v", s.Totals)
	}
	once(t, quickConfig(src, dst)) // nothing to do
	same(t, src, dst, names)
}

// create makes topics.
func create(t testing.TB, cl testkafka.Cluster, partitions int32, configs map[string]*string, topics ...string) {
	t.Helper()
	testkafka.Create(t, cl, partitions, 1, configs, topics...)
}
