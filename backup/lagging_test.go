package backup_test

import (
	"os"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// laggingRuns is how often each job runs beside a broker that lags behind.
func laggingRuns() int {
	if os.Getenv("KAFKADR_LONG") != "" {
		return 100
	}
	return 5
}

// lagging is a cluster of three brokers with topics t and u, a record each, of which one doesn't
// know t while begun.
func lagging(t *testing.T) (src testkafka.Cluster, cl *kgo.Client, begun *atomic.Bool) {
	t.Helper()
	src = testkafka.Fake(t, testkafka.Options{Brokers: 3})
	cl = testkafka.Client(t, src)
	if _, err := kadm.NewClient(cl).CreateTopics(t.Context(), 2, 1, nil, "t", "u"); err != nil {
		t.Fatal(err)
	}
	begun = new(atomic.Bool)
	testkafka.Lagging(src, "t", func(node int32) bool { return begun.Load() && node == 1 }, "u")
	write(t, cl)
	return src, cl, begun
}

func write(t *testing.T, cl *kgo.Client) {
	t.Helper()
	for _, topic := range []string{"t", "u"} {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRunLaggingBroker: a run has a topic that one broker of three doesn't know, the first time and
// every time after.
func TestRunLaggingBroker(t *testing.T) {
	src, cl, begun := lagging(t)
	begun.Store(true)
	kept := archive(t, bucket(t))
	for i := range laggingRuns() {
		for _, a := range []*struct {
			name string
			cfg  backup.Config
		}{{"first", backup.Config{Source: src.Opts(), Archive: archive(t, bucket(t))}}, {"next", backup.Config{Source: src.Opts(), Archive: kept}}} {
			r, err := backup.Run(t.Context(), a.cfg)
			if err != nil {
				t.Fatalf("%s, run %d: %v", a.name, i, err)
			}
			if s := r.Snapshot; !s.Complete || s.Topics != 2 || s.Records != int64(2*(i+1)) {
				t.Errorf("%s, run %d: %+v", a.name, i, s)
			}
			for topic, err := range open(t, a.cfg.Archive, r.Snapshot.ID).Topics(t.Context()) {
				if err != nil || !topic.Deleted.IsZero() || topic.Partitions != 2 || topic.ConfigsError != "" {
					t.Errorf("%s, run %d: %+v, %v", a.name, i, topic, err)
				}
			}
		}
		begun.Store(false)
		write(t, cl)
		begun.Store(true)
	}
}

// TestFollowLaggingBroker: a follower keeps a topic that one broker of three doesn't know, and
// marks one deleted that none knows any more.
func TestFollowLaggingBroker(t *testing.T) {
	src, cl, begun := lagging(t)
	a := archive(t, bucket(t))
	cfg := quickOf(src.Opts(), a)
	f := follow(t, t.Context(), cfg)
	for range laggingRuns() {
		begun.Store(true)
		was := f.Status().Snapshot.ID
		until(t, "two full snapshots", func() bool {
			if now := f.Status().Snapshot.ID; now != was {
				was = now
				return f.see(func() bool { return len(f.snapshots) > 1 })
			}
			return false
		})
		begun.Store(false)
		write(t, cl)
	}
	if f.see(func() bool { return len(f.incarnations) != 2 }) {
		t.Errorf("%+v", f.incarnations)
	}
	if _, err := kadm.NewClient(cl).DeleteTopics(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	until(t, "the deletion", func() bool {
		return f.see(func() bool {
			n := len(f.incarnations)
			return n == 3 && f.incarnations[2].Name == "t" && !f.incarnations[2].Deleted.IsZero()
		})
	})
	for topic, err := range f.stop(a).Topics(t.Context()) {
		if err != nil || topic.Deleted.IsZero() != (topic.Name == "u") {
			t.Errorf("%+v, %v", topic, err)
		}
	}
}
