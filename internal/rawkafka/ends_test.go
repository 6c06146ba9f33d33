package rawkafka_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestEnds: an end of a leader that is being replaced and a high watermark of the next one are
// asked for again; where it stays so, that is the answer's error.
func TestEnds(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	kf := testkafka.Kfake(kafka)
	cl := testkafka.Client(t, kafka)
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	c, err := rawkafka.Connect(t.Context(), kafka.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	topics, err := c.Topics(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	p := rawkafka.Partition{Topic: "t", TopicID: topics["t"].ID}
	var stale atomic.Int32
	kf.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		req := kreq.(*kmsg.ListOffsetsRequest)
		if req.ReplicaID != rawkafka.Debug || stale.Add(-1) < 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		rt, rp := kmsg.NewListOffsetsResponseTopic(), kmsg.NewListOffsetsResponseTopicPartition()
		rt.Topic, rp.Offset = "t", 7
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	for n, want := range map[int32]error{0: nil, 3: nil, 1000: rawkafka.ErrTwoLeaders} {
		stale.Store(n)
		got, err := c.Ends(t.Context(), []rawkafka.Partition{p})
		if err != nil {
			t.Fatal(err)
		}
		e := got[p]
		if !errors.Is(e.Err, want) || want == nil && (e.Err != nil || e.End != 10 || e.Watermark != 10) {
			t.Errorf("%d stale answers: %+v, want %v", n, e, want)
		}
	}
	if !rawkafka.Retriable(rawkafka.ErrTwoLeaders) {
		t.Error("two leaders don't pass")
	}
}
