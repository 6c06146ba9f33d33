package mirror

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// Hard topics, mirrored while they are made, are the same at both isolation levels. Compacted ones are there before, and the standby's cleaner sleeps: what a cleaner leaves is its
// own affair.
func TestRealHardTopics(t *testing.T) {
	src := pool.Real(t, testkafka.Options{Configs: map[string]string{"log.cleaner.backoff.ms": "200"}})
	dst := pool.Real(t, testkafka.Options{Configs: map[string]string{"log.cleaner.backoff.ms": "3600000"}})
	cleaned := []string{"compacted", "schemas"}
	topics := testkafka.Load(t, src, testkafka.Hard{Only: cleaned})
	cfg := Config{Source: src.Opts(), Target: dst.Opts(), Discover: time.Second, GroupInterval: time.Second}
	r := start(t, cfg)
	topics = append(topics, testkafka.Load(t, src, testkafka.Hard{ManyPartitions: 50, Without: cleaned})...)
	names := testkafka.Names(topics)
	r.caughtUp(src, names...)
	s := r.Status()
	if s.Stopped > 0 || s.RPO.Unknown > 0 {
		t.Errorf("%+v %v", s.Totals, s.Recent)
	}
	t.Log(s.Events)
	r.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m, err := New(Config{Source: src.Opts(), Target: dst.Opts(), Once: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	same(t, src, dst, names)
}
