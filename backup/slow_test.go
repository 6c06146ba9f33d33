package backup_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// A broker of the source that stands still holds up its own partitions: those of the others are
// read, and flushed within moments.
func TestFollowBesideSlowBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Brokers: 3, Network: new(kfake.VirtualNetwork)})
		c := testkafka.Client(t, kafka, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.RequestTimeoutOverhead(200*time.Millisecond))
		for topic, on := range map[string]int32{"many": 0, "one": 1} {
			rs, err := kadm.NewClient(c).CreateTopics(t.Context(), 20, 1, nil, topic)
			if err == nil {
				err = rs.Error()
			}
			if err != nil {
				t.Fatal(err)
			}
			for p := range int32(20) {
				kafka.MoveLeader(t, topic, p, on)
			}
		}
		produce := func(topic string) {
			t.Helper()
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		produce("many")
		produce("one")
		a := archive(t, bucket(t))
		f := follow(t, t.Context(), backup.FollowerConfig{
			Config: backup.Config{Source: kafka.Opts(), Archive: a}, Flush: time.Second, Every: time.Hour, Discover: time.Second,
		})
		until(t, "a snapshot", func() bool { return f.Status().Snapshot.ID != "" })
		kafka.Pause(t, 0)
		t.Cleanup(func() { kafka.Resume(t, 0) })
		var most time.Duration
		for range 60 {
			if err := rawkafka.Sleep(t.Context(), 1700*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			was, began := f.Status().Committed.ID, time.Now()
			produce("one")
			until(t, "a flush", func() bool { return f.Status().Committed.ID != was })
			most = max(most, time.Since(began))
		}
		// What the loop has under way when a flush is due may ask that broker: discovery, a look,
		// and the cut, each up to its deadline.
		if t.Logf("flushed within %s", most); most > time.Second+3*2*time.Second {
			t.Errorf("a record was flushed after %s", most)
		}
		kafka.Resume(t, 0)
		produce("many")
		until(t, "the broker's own partitions", func() bool { s := f.Status(); return s.LagRecords == 0 && s.Faulted == 0 })
		f.stop(a)
	})
}
