package restore_test

import (
	"testing"

	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/storage"
)

// snapshotOf backs a cluster up.
func snapshotOf(t testing.TB, cl testkafka.Cluster, topics ...string) *storage.Snapshot {
	t.Helper()
	bucket := memblob.OpenBucket(nil)
	t.Cleanup(func() { _ = bucket.Close() })
	a, err := storage.Open(t.Context(), bucket, storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := backup.Run(t.Context(), backup.Config{Source: cl.Opts(), Archive: a, Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.Snapshot(t.Context(), res.Snapshot.ID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// runOn plans and runs, and tells how it went.
func runOn(t testing.TB, cfg restore.Config) (*restore.Plan, *restore.Result) {
	t.Helper()
	p, err := restore.NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range p.Warnings {
		t.Log(w)
	}
	res, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records, %d bytes in %s; estimate %s", res.Records, res.Bytes, res.Duration, p.EstimatedTime)
	return p, res
}

// roundTrip backs src up, and restores onto dst, which no consumer can tell from it then.
func roundTrip(t *testing.T, src, dst testkafka.Cluster, h testkafka.Hard) (want *testkafka.Content) {
	t.Helper()
	topics := testkafka.Names(testkafka.Load(t, src, h))
	s := snapshotOf(t, src)
	want, err := testkafka.Capture(t.Context(), src.Opts(), topics, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := restore.Config{Target: dst.Opts(), Snapshot: s, Topics: topics}
	runOn(t, cfg)
	for _, d := range testkafka.DiffContent(t, want, testkafka.ReadSpec{Opts: dst.Opts()}) {
		t.Error(d)
	}
	p, err := restore.NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Conflicts) > 0 || p.Records > 0 {
		t.Errorf("again: %d records to do, conflicts %v", p.Records, p.Conflicts)
	}
	cfg.VerifyTarget = true
	if p, err = restore.NewPlan(t.Context(), cfg); err != nil || len(p.Conflicts) > 0 {
		t.Errorf("all compared: %v, conflicts %v", err, p.Conflicts)
	}
	return want
}

func TestRoundTripFake(t *testing.T) {
	roundTrip(t, testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{}), testkafka.Hard{})
}

// Every hard topic of a real Kafka comes back on another, for consumers of two families at either
// isolation level.
func TestRoundTripReal(t *testing.T) {
	src, dst := testkafka.Real(t, testkafka.Options{}), testkafka.Real(t, testkafka.Options{})
	want := roundTrip(t, src, dst, testkafka.Hard{})
	few := &testkafka.Content{Topics: map[string]map[int32]*testkafka.Partition{}}
	for topic, ps := range want.Topics {
		if len(ps) < 10 {
			few.Topics[topic] = ps
		}
	}
	for _, level := range []string{"read_committed", "read_uncommitted"} {
		got := testkafka.Kcat(t, dst, few, level)
		for _, d := range (testkafka.Comparison{HeaderText: true}).Equal(few, got) {
			t.Errorf("kcat at %s: %s", level, d)
		}
	}
}
