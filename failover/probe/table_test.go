package probe

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

const second = time.Second

// given are the probes of the package's table, in its order.
var given = map[string]Probe{
	"metadata": Metadata(MetadataConfig{}),
	"tcp":      TCP(),
	"canary":   RoundTrip(RoundTripConfig{}),
	"offline":  OfflinePartitions(OfflineConfig{}),
}

// row is one of the package's table: what has happened, and what each probe says; not named is
// healthy.
type row struct {
	name string
	do   func(t *testing.T, cl testkafka.Cluster)
	want map[string]Kind
}

func all(cl testkafka.Cluster, do func(broker int32)) {
	for _, b := range cl.Brokers() {
		do(b)
	}
}

func rows() []row {
	return []row{
		{"nothing", func(*testing.T, testkafka.Cluster) {}, nil},
		{"one broker lost", func(t *testing.T, cl testkafka.Cluster) { cl.Kill(t, 0) }, nil},
		{"one broker hangs", func(t *testing.T, cl testkafka.Cluster) { cl.Pause(t, 0) }, nil},
		{"two brokers hang", func(t *testing.T, cl testkafka.Cluster) { cl.Pause(t, 0); cl.Pause(t, 2) }, nil},
		{"all brokers lost", func(t *testing.T, cl testkafka.Cluster) { all(cl, func(b int32) { cl.Kill(t, b) }) },
			map[string]Kind{"metadata": Unreachable, "canary": Unreachable, "offline": Unreachable}}, // kfake goes on accepting, and hangs up
		{"all brokers hang", func(t *testing.T, cl testkafka.Cluster) { all(cl, func(b int32) { cl.Pause(t, b) }) },
			map[string]Kind{"metadata": Timeout, "canary": Timeout, "offline": Timeout}},
		{"one topic has no leader", func(t *testing.T, cl testkafka.Cluster) { leaderless(cl, "orders") }, nil},
		{"most partitions have no leader", func(t *testing.T, cl testkafka.Cluster) { leaderless(cl, "orders", "kafkadr-canary") },
			map[string]Kind{"offline": Offline, "canary": Offline}},
		{"too few replicas in sync", func(_ *testing.T, cl testkafka.Cluster) { refuseProduce(cl, kerr.NotEnoughReplicas) },
			map[string]Kind{"canary": Canary}},
		{"write right missing", func(_ *testing.T, cl testkafka.Cluster) { refuseProduce(cl, kerr.TopicAuthorizationFailed) },
			map[string]Kind{"canary": Denied}},
		{"nothing can be read", func(_ *testing.T, cl testkafka.Cluster) {
			control(cl, kmsg.Fetch, func(req kmsg.Request) (kmsg.Response, error, bool) {
				<-time.After(second / 10) // as a broker waits
				return req.ResponseKind(), nil, true
			})
		}, map[string]Kind{"canary": Timeout}},
		{"slow", func(_ *testing.T, cl testkafka.Cluster) {
			control(cl, kmsg.Metadata, func(kmsg.Request) (kmsg.Response, error, bool) {
				<-time.After(second / 2)
				return nil, nil, false
			})
		}, nil},
		{"canary topic missing", func(t *testing.T, cl testkafka.Cluster) { deleteTopic(t, cl, canaryTopic) }, map[string]Kind{"canary": Config}},
	}
}

func control(cl testkafka.Cluster, key kmsg.Key, f func(kmsg.Request) (kmsg.Response, error, bool)) {
	k := testkafka.Kfake(cl)
	k.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		return f(req)
	})
}

// leaderless makes brokers answer that partitions of topics have no leader.
func leaderless(cl testkafka.Cluster, topics ...string) {
	control(cl, kmsg.Metadata, func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, topic := range []string{"orders", canaryTopic} {
			mt := kmsg.NewMetadataResponseTopic()
			mt.Topic = kmsg.StringPtr(topic)
			for p := range int32(3) {
				mp := kmsg.NewMetadataResponseTopicPartition()
				mp.Partition = p
				for _, off := range topics {
					if off == topic {
						mp.Leader, mp.ErrorCode = -1, kerr.LeaderNotAvailable.Code
					}
				}
				mt.Partitions = append(mt.Partitions, mp)
			}
			for _, asked := range req.(*kmsg.MetadataRequest).Topics {
				if *asked.Topic != topic {
					mt.Topic = nil
				}
			}
			if mt.Topic != nil {
				resp.Topics = append(resp.Topics, mt)
			}
		}
		if req.(*kmsg.MetadataRequest).Topics != nil && len(topics) == 1 {
			return nil, nil, false // the canary has its leaders
		}
		return resp, nil, true
	})
}

func refuseProduce(cl testkafka.Cluster, why *kerr.Error) {
	control(cl, kmsg.Produce, func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range req.(*kmsg.ProduceRequest).Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.ErrorCode = t.Partitions[0].Partition, why.Code
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

func createTopic(t *testing.T, cl testkafka.Cluster, topic string) {
	t.Helper()
	testkafka.Create(t, cl, 3, -1, nil, topic)
}

func deleteTopic(t *testing.T, cl testkafka.Cluster, topic string) {
	t.Helper()
	c, err := kgo.NewClient(cl.Opts()...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := kadm.NewClient(c).DeleteTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
}

// bubble is a test in a bubble with a cluster of three brokers, that has the topics.
func bubble(t *testing.T, f func(t *testing.T, cl testkafka.Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cl := testkafka.Fake(t, testkafka.Options{Brokers: 3, Network: &kfake.VirtualNetwork{}})
		createTopic(t, cl, "orders")
		createTopic(t, cl, canaryTopic)
		for p := range int32(3) {
			cl.MoveLeader(t, canaryTopic, p, p)
		}
		f(t, cl)
		<-time.After(10 * second) // for what kfake still waits in
	})
}

// TestTable holds the table of the package's documentation.
func TestTable(t *testing.T) {
	for _, r := range rows() {
		t.Run(r.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, cl testkafka.Cluster) {
				r.do(t, cl)
				for name, p := range given {
					err := within(t, 3*second, p, Target{"primary", cl.Opts()})
					check(t, name, err, r.want[name])
				}
			})
		})
	}
}

// within looks, and holds that the look is over in time.
func within(t *testing.T, d time.Duration, p Probe, target Target) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	begin := time.Now()
	err := p(ctx, target)
	if took := time.Since(begin); took > d+second {
		t.Errorf("took %v of %v", took, d)
	}
	return err
}

func check(t *testing.T, name string, err error, want Kind) {
	t.Helper()
	if got := KindOf(err); got != want || (err == nil) != (want == "") {
		t.Errorf("%s: %q (%v), want %q", name, got, err, want)
	}
	if got := SaysDown(err); got != (want != "" && countsAsDown(want)) {
		t.Errorf("%s: %v: down %v", name, err, got)
	}
	if err != nil && !strings.HasPrefix(err.Error(), "probe: primary: ") {
		t.Errorf("%s: %v doesn't say whose", name, err)
	}
}

func TestClusterID(t *testing.T) {
	bubble(t, func(t *testing.T, cl testkafka.Cluster) {
		target := Target{"primary", cl.Opts()}
		check(t, "right", Metadata(MetadataConfig{ClusterID: cl.ID()})(t.Context(), target), "")
		check(t, "wrong", Metadata(MetadataConfig{ClusterID: "another"})(t.Context(), target), WrongCluster)
	})
}

func TestOfflineTopics(t *testing.T) {
	bubble(t, func(t *testing.T, cl testkafka.Cluster) {
		target := Target{"primary", cl.Opts()}
		check(t, "there", OfflinePartitions(OfflineConfig{Topics: []string{"orders", "missing"}})(t.Context(), target), "")
		check(t, "missing", OfflinePartitions(OfflineConfig{Topics: []string{"missing"}})(t.Context(), target), Config)
		leaderless(cl, "orders")
		check(t, "half, share a tenth", OfflinePartitions(OfflineConfig{Share: 0.1})(t.Context(), target), Offline)
	})
}

func TestRoundTripCreates(t *testing.T) {
	bubble(t, func(t *testing.T, cl testkafka.Cluster) {
		target := Target{"primary", cl.Opts()}
		check(t, "not told", RoundTrip(RoundTripConfig{Topic: "canary"})(t.Context(), target), Config)
		for range 2 {
			check(t, "told", RoundTrip(RoundTripConfig{Topic: "canary", Create: true})(t.Context(), target), "")
		}
		topics, err := kadm.NewClient(testkafka.Client(t, cl)).ListTopics(t.Context(), "canary")
		if err != nil || len(topics["canary"].Partitions) != 3 {
			t.Fatalf("%v, %v, want three partitions", topics, err)
		}
	})
}

// TestCancelled holds that a probe whose caller has no use for it any more says so, and isn't a
// fault.
func TestCancelled(t *testing.T) {
	bubble(t, func(t *testing.T, cl testkafka.Cluster) {
		all(cl, func(b int32) { cl.Pause(t, b) })
		why := errors.New("why")
		for name, p := range given {
			if name == "tcp" {
				continue
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(second, func() { cancel(why) })
			begin := time.Now()
			if err := p(ctx, Target{"primary", cl.Opts()}); !errors.Is(err, why) || KindOf(err) != "" {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(begin); took > 2*second {
				t.Errorf("%s: over %v after it began", name, took)
			}
		}
	})
}
