package mirror

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestTwoLeaders: a standby's end of a leader that is being replaced and a high watermark of the
// next one are asked for again: nothing was lost there, and the mirror goes on.
func TestTwoLeaders(t *testing.T) {
	src, dst := pairOf(t, "t")
	produce(t, src, "t", 1, 7)
	var stale atomic.Int32
	kf := testkafka.Kfake(dst)
	kf.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		req := kreq.(*kmsg.ListOffsetsRequest)
		if req.ReplicaID != rawkafka.Debug || len(req.Topics) != 1 || req.Topics[0].Topic != "t" || len(req.Topics[0].Partitions) != 1 || stale.Add(1) > 3 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		rt, rp := kmsg.NewListOffsetsResponseTopic(), kmsg.NewListOffsetsResponseTopicPartition()
		rt.Topic, rp.Offset = "t", 9
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	r := start(t, quickConfig(src, dst))
	r.caughtUp(src, "t")
	same(t, src, dst, []string{"t"})
	if s := r.Status(); s.Stopped != 0 || len(s.Events) != 0 || stale.Load() < 4 {
		t.Errorf("%d stopped, events %v, asked %d times", s.Stopped, s.Recent, stale.Load())
	}
	r.stop()
}
