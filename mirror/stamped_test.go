package mirror

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestStamped: a copy's topic that gives records times of its own stops its partition at the first
// batch; nothing more is written.
func TestStamped(t *testing.T) {
	src, dst := pairOf(t, "bad", "good")
	r := start(t, quickConfig(src, dst))
	r.caughtUp(src, "bad", "good")
	kf := testkafka.Kfake(dst)
	bad := kf.TopicInfo("bad").TopicID
	kf.ControlKey(int16(kmsg.Produce), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		resp := kreq.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range kreq.(*kmsg.ProduceRequest).Topics {
			if t.Topic != "bad" && t.TopicID != bad {
				return nil, nil, false
			}
			rt, rp := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			rp.BaseOffset, rp.LogAppendTime = 20, time.Now().UnixMilli()
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	produce(t, src, "bad", 1, 5)
	ev := r.stopsWith(Stamped, "bad")
	if ev.Policy != Stop || ev.Partition != 0 || ev.Offset != 20 || ev.Detail == "" {
		t.Errorf("%+v", ev)
	}
	produce(t, src, "good", 1, 10)
	r.caughtUp(src, "good")
	same(t, src, dst, []string{"good"})
	r.stop()
}
