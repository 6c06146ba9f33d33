package rawkafka_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"go.uber.org/goleak"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func fake(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func connect(t testing.TB, c *kfake.Cluster, cfg rawkafka.Config) *rawkafka.Cluster {
	t.Helper()
	rc, err := rawkafka.Connect(t.Context(), []kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...)}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rc.Close)
	return rc
}

func produce(t testing.TB, c *kfake.Cluster, topic string, partition int32, n int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for range n {
		r := &kgo.Record{Topic: topic, Partition: partition, Value: []byte("value")}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func partition(t testing.TB, rc *rawkafka.Cluster, topic string, p int32) rawkafka.Partition {
	t.Helper()
	topics, err := rc.Topics(t.Context(), topic)
	if err != nil || topics[topic].Err != nil {
		t.Fatal(err, topics[topic].Err)
	}
	return rawkafka.Partition{Topic: topic, TopicID: topics[topic].ID, Partition: p}
}

func TestConnectErrors(t *testing.T) {
	sasl := fake(t, kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "admin", "right"))
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	login := func(password string) kgo.Opt {
		return kgo.SASL(plain.Auth{User: "admin", Pass: password}.AsMechanism())
	}
	for _, c := range []struct {
		name string
		opts []kgo.Opt
		want rawkafka.Kind
	}{
		{"refused", []kgo.Opt{kgo.SeedBrokers(closed.Addr().String())}, rawkafka.Unreachable},
		{"mute", []kgo.Opt{kgo.SeedBrokers(mute.Addr().String())}, rawkafka.Unreachable},
		{"no such host", []kgo.Opt{kgo.SeedBrokers("no-such-host.invalid:9092")}, rawkafka.Unreachable},
		{"wrong password", []kgo.Opt{kgo.SeedBrokers(sasl.ListenAddrs()...), login("canary-secret")}, rawkafka.Credentials},
		{"no login", []kgo.Opt{kgo.SeedBrokers(sasl.ListenAddrs()...)}, rawkafka.Credentials},
		{"wrong options", []kgo.Opt{kgo.SeedBrokers("[::1]]:x:y")}, rawkafka.BadConfig},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			_, err := rawkafka.Connect(t.Context(), c.opts, rawkafka.Config{RequestTimeout: 2 * time.Second})
			var ce *rawkafka.ConnectError
			if !errors.As(err, &ce) || ce.Kind != c.want {
				t.Errorf("got %v, want kind %s", err, c.want)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
			t.Log(err)
		})
	}
}

// Brokers that stand still take connections and say nothing: one that answers is enough.
func TestConnectPastFrozen(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1))
	seeds := c.ListenAddrs()
	for range 4 {
		l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts: the kernel does
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		seeds = append(seeds, l.Addr().String())
	}
	rc, err := rawkafka.Connect(t.Context(), []kgo.Opt{kgo.SeedBrokers(seeds...)}, rawkafka.Config{RequestTimeout: 8 * time.Second}) // less than kgo waits for one
	if err != nil {
		t.Fatal(err)
	}
	rc.Close()
}

func TestConnectCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rawkafka.Connect(ctx, []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}, rawkafka.Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOffsetsFollowLeaders(t *testing.T) {
	c := fake(t, kfake.NumBrokers(3), kfake.SeedTopics(4, "orders"))
	var retries int
	rc := connect(t, c, rawkafka.Config{OnRetry: func(string, error) { retries++ }})
	produce(t, c, "orders", 2, 5)
	p := partition(t, rc, "orders", 2)
	broker, _, err := rc.Leader(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.MoveTopicPartition("orders", 2, (broker+1)%3); err != nil {
		t.Fatal(err)
	}
	ps := []rawkafka.Partition{p, partition(t, rc, "orders", 0)}
	got, err := rc.ListOffsets(t.Context(), ps, rawkafka.Latest, rawkafka.ReadCommitted, rawkafka.Consumer)
	if err != nil || got[ps[0]].Err != nil || got[ps[0]].Offset != 5 || got[ps[1]].Offset != 0 {
		t.Errorf("got %v %v", got, err)
	}
	_, epoch, err := rc.Leader(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := rc.EpochEnds(t.Context(), map[rawkafka.Partition]int32{p: epoch})
	if err != nil || ends[p].Err != nil || ends[p].EndOffset != 5 {
		t.Errorf("got %v %v", ends, err)
	}
}

func TestOffsetsOfUnknown(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	rc := connect(t, c, rawkafka.Config{})
	p := partition(t, rc, "orders", 0)
	other := rawkafka.Partition{Topic: "orders", TopicID: kadm.TopicID{1}, Partition: 0}
	gone := rawkafka.Partition{Topic: "nothing"}
	got, err := rc.ListOffsets(t.Context(), []rawkafka.Partition{p, other, gone}, rawkafka.Earliest, rawkafka.ReadCommitted, rawkafka.Consumer)
	if err != nil || got[p].Err != nil {
		t.Error(got, err)
	}
	if !errors.Is(got[other].Err, kerr.UnknownTopicID) || !errors.Is(got[gone].Err, kerr.UnknownTopicOrPartition) {
		t.Error(got)
	}
}

func TestOffsetsRetryThenFail(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	rc := connect(t, c, rawkafka.Config{RequestTimeout: 200 * time.Millisecond, RetryFor: 300 * time.Millisecond})
	p := partition(t, rc, "orders", 0)
	c.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return nil, nil, true // no answer
	})
	got, err := rc.ListOffsets(t.Context(), []rawkafka.Partition{p}, rawkafka.Latest, rawkafka.ReadCommitted, rawkafka.Consumer)
	if err != nil || got[p].Err == nil || !rawkafka.Retriable(got[p].Err) {
		t.Errorf("got %v %v", got, err)
	}
}

// TestEverywhere: what one broker knows is there, whatever others say, and whoever doesn't answer;
// its leader is found.
func TestEverywhere(t *testing.T) {
	c := fake(t, kfake.NumBrokers(3), kfake.SeedTopics(2, "orders"))
	rc := connect(t, c, rawkafka.Config{})
	count := func(name string, want int) {
		t.Helper()
		views, err := rc.Everywhere(t.Context(), name, "nothing")
		there := 0
		for _, topics := range views {
			if topic, ok := topics[name]; ok {
				there++
				if topic.Name != name || len(topic.Partitions) != 2 || len(topics) != 1 {
					t.Errorf("%+v", topics)
				}
			}
		}
		if err != nil || there != want {
			t.Errorf("%s: %v, %v", name, views, err)
		}
	}
	count("orders", 3)
	count("another", 0)
	c.ControlKey(int16(kmsg.Metadata), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if req := kreq.(*kmsg.MetadataRequest); c.CurrentNode() != 1 && len(req.Topics) > 0 {
			req.Topics[0].Topic = kmsg.StringPtr("nowhere")
		}
		return nil, nil, false
	})
	count("orders", 1)
	for range 20 {
		rc.Forget(rawkafka.Partition{Topic: "orders", Partition: 1})
		if _, _, err := rc.Leader(t.Context(), rawkafka.Partition{Topic: "orders", Partition: 1}); err != nil {
			t.Error("a broker that lags behind is believed:", err)
		}
	}
	if err := c.RemoveNode(2); err != nil {
		t.Fatal(err)
	}
	count("orders", 1)
}
