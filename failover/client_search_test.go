package failover

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestSearchLaggingBroker: one broker of three doesn't know the topic. What it says isn't taken for
// the topic's absence, which would have the records sent once more.
func TestSearchLaggingBroker(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{Brokers: 3})
	if _, err := kadm.NewClient(testkafka.Client(t, kafka)).CreateTopic(t.Context(), 1, 1, nil, simTopic); err != nil {
		t.Fatal(err)
	}
	sent := one("x")
	sent.Timestamp = time.UnixMilli(1_000_000)
	if err := testkafka.Client(t, kafka).ProduceSync(t.Context(), sent).FirstErr(); err != nil {
		t.Fatal(err)
	}
	testkafka.Lagging(kafka, simTopic, func(node int32) bool { return node == 1 })
	cl, err := rawkafka.Connect(t.Context(), kafka.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	c, s := &Client{}, &session{acked: &marks{by: map[topicPartition]*int64{}}}
	wanted := &kgo.Record{Topic: simTopic, Value: sent.Value, Timestamp: sent.Timestamp}
	e := &entry{rec: wanted, session: s}
	again := 0
	for range 50 {
		f, err := c.searchOn(t.Context(), cl, s, []doubt{{e, wanted}})
		ok := false
		if err == nil {
			_, ok = f.found[e]
		}
		switch {
		case rawkafka.Unknown(err):
			again++
		case err != nil || !ok:
			t.Fatalf("found: %v, %v", ok, err)
		}
	}
	if again == 0 || again == 50 {
		t.Errorf("%d of 50 looks asked the broker that lags", again)
	}
	nowhere := &kgo.Record{Topic: "nowhere", Value: sent.Value, Timestamp: sent.Timestamp}
	f, err := c.searchOn(t.Context(), cl, s, []doubt{{&entry{rec: nowhere, session: s}, nowhere}})
	if err != nil || len(f.found)+len(f.unsearched) > 0 {
		t.Error(f, err)
	}
}

// TestSearchEmpty: a leader that has nothing to give, as of tiered storage that is slow, may have
// the record all the same: taken for its absence, the record would be sent once more. Where the
// cleaner may have taken what was there, the answer is believed after seconds; elsewhere the
// partition counts as unread.
func TestSearchEmpty(t *testing.T) {
	for name, c := range map[string]struct {
		empty             int
		compacts          bool
		found, unsearched int
	}{
		"for a while":      {empty: 2, found: 1},
		"compacted":        {empty: 2, compacts: true, found: 1},
		"for ever":         {empty: 1 << 20, unsearched: 1},
		"taken by cleaner": {empty: 1 << 20, compacts: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var net kfake.VirtualNetwork
				kafka := testkafka.Fake(t, testkafka.Options{Brokers: 1, Network: &net})
				policy := "delete"
				if c.compacts {
					policy = "compact"
				}
				testkafka.Create(t, kafka, 1, 1, map[string]*string{"cleanup.policy": &policy}, simTopic)
				sent := &kgo.Record{Topic: simTopic, Key: []byte("k"), Value: []byte("x"), Timestamp: time.UnixMilli(1_000_000)}
				if err := testkafka.Client(t, kafka).ProduceSync(t.Context(), sent).FirstErr(); err != nil {
					t.Fatal(err)
				}
				left := c.empty
				testkafka.AnswerEmpty(testkafka.Kfake(kafka), 1, func(*kmsg.FetchRequest) bool { left--; return left >= 0 })
				cl, err := rawkafka.Connect(t.Context(), kafka.Opts(), rawkafka.Config{RequestTimeout: searchRequest, RetryFor: searchPatience})
				if err != nil {
					t.Fatal(err)
				}
				defer cl.Close()
				s := &session{acked: &marks{by: map[topicPartition]*int64{}}}
				wanted := &kgo.Record{Topic: simTopic, Key: sent.Key, Value: sent.Value, Timestamp: sent.Timestamp}
				f, err := new(Client).searchOn(t.Context(), cl, s, []doubt{{&entry{rec: wanted, session: s}, wanted}})
				if err != nil || len(f.found) != c.found || len(f.unsearched) != c.unsearched {
					t.Errorf("%+v, %v", f, err)
				}
			})
		})
	}
}
