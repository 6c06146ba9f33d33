package restore

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestLogStartComesBack: a log start that brokers have forgotten since they moved it, as those do that are killed, is moved again before the end.
func TestLogStartComesBack(t *testing.T) {
	topics := []fakeTopic{{name: "a", partitions: []opstest.History{plain(t, 0, 5, 2), plain(t, 9, 5, 2), plain(t, 70, 5, 2)}}}
	cfg, cl := fakeConfig(t, fakeArchive(t, nil, topics...))
	k := testkafka.Kfake(cl)
	forgotten := map[int32]bool{}
	k.ControlKey(int16(kmsg.DeleteRecords), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.DeleteRecordsRequest)
		if p := req.Topics[0].Partitions[0]; !forgotten[p.Partition] {
			forgotten[p.Partition] = true
			return deleted(req), nil, true
		}
		return nil, nil, false
	})
	restored(t, cfg)
	if len(forgotten) != 2 {
		t.Errorf("log starts of %v were moved", forgotten)
	}
	checkTopics(t, cl, copyops.Filter{}, topics...)
}

// deleted is the answer to a request that is obeyed.
func deleted(req *kmsg.DeleteRecordsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewDeleteRecordsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewDeleteRecordsResponseTopicPartition()
			rp.Partition, rp.LowWatermark = p.Partition, p.Offset
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}
