package mirror

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// aged makes a topic with records of three years ago.
func aged(t testing.TB, cl testkafka.Cluster, topic string, n int) {
	t.Helper()
	create(t, cl, 1, nil, topic)
	var rs []*kgo.Record
	for i := range n {
		rs = append(rs, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("v"), Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i))})
	}
	if err := testkafka.Client(t, cl).ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func ownConfigs(t testing.TB, cl testkafka.Cluster, topic string) map[string]string {
	t.Helper()
	rs, err := kadm.NewClient(testkafka.Client(t, cl)).DescribeTopicConfigs(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]string{}
	for _, c := range rs[0].Configs {
		if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
			own[c.Key] = c.MaybeValue()
		}
	}
	return own
}

// A topic that was made beforehand, and stamps records itself, has its configs before its first
// record.
func TestPrecreated(t *testing.T)     { testPrecreated(t, testkafka.Fake(t, testkafka.Options{})) }
func TestRealPrecreated(t *testing.T) { testPrecreated(t, testkafka.Real(t, testkafka.Options{})) }

func testPrecreated(t *testing.T, dst testkafka.Cluster) {
	src := testkafka.Fake(t, testkafka.Options{})
	aged(t, src, "t", 10)
	set := func(s string) *string { return &s }
	create(t, dst, 1, map[string]*string{"message.timestamp.type": set("LogAppendTime"), "retention.ms": set("1000")}, "t")
	held := make(chan map[string]string, 1)
	cfg := quickConfig(src, dst)
	cfg.Hooks.OnTopic = func(string, string) { held <- ownConfigs(t, dst, "t") }
	r := start(t, cfg)
	if got := <-held; got["message.timestamp.type"] != "CreateTime" || got["retention.ms"] != "-1" {
		t.Errorf("when its copy begins: %v", got)
	}
	r.caughtUp(src, "t")
	same(t, src, dst, []string{"t"})
	r.stop()
	once(t, cfg)
}

// One that refuses them isn't written to.
func TestPrecreatedRefuses(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	aged(t, src, "t", 10)
	stamp := "LogAppendTime"
	create(t, dst, 1, map[string]*string{"message.timestamp.type": &stamp}, "t")
	k := testkafka.Kfake(dst)
	k.ControlKey(int16(kmsg.IncrementalAlterConfigs), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := kreq.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		for _, r := range kreq.(*kmsg.IncrementalAlterConfigsRequest).Resources {
			rr := kmsg.NewIncrementalAlterConfigsResponseResource()
			rr.ResourceType, rr.ResourceName, rr.ErrorCode = r.ResourceType, r.ResourceName, kerr.PolicyViolation.Code
			resp.Resources = append(resp.Resources, rr)
		}
		return resp, nil, true
	})
	cfg := quickConfig(src, dst)
	cfg.Once, cfg.tuning.inStep = true, time.Millisecond
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var refused *EventError
	if err := m.Run(t.Context()); !errors.As(err, &refused) || refused.Event.Kind != TopicRefused {
		t.Errorf("%v", err)
	}
	ends, err := kadm.NewClient(testkafka.Client(t, dst)).ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := ends.Lookup("t", 0); o.Offset != 0 {
		t.Errorf("%d records were written", o.Offset)
	}
}
