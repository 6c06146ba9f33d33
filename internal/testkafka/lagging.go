package testkafka

import (
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Lagging has those brokers of a fake that are meant not know a topic, as one that has just
// started, or lags behind, doesn't: asked for it they don't have it, asked for all they have
// others. It returns how often they have said so.
func Lagging(cl Cluster, topic string, meant func(node int32) bool, others ...string) (told *atomic.Int64) {
	told = new(atomic.Int64)
	kf := Kfake(cl)
	kf.ControlKey(int16(kmsg.Metadata), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		req := kreq.(*kmsg.MetadataRequest)
		if !meant(kf.CurrentNode()) {
			return nil, nil, false
		}
		if req.Topics == nil {
			for _, name := range others {
				rt := kmsg.NewMetadataRequestTopic()
				rt.Topic = kmsg.StringPtr(name)
				req.Topics = append(req.Topics, rt)
			}
			told.Add(1)
		}
		for i, rt := range req.Topics {
			if rt.Topic != nil && *rt.Topic == topic {
				req.Topics[i].Topic = kmsg.StringPtr("another")
				told.Add(1)
			}
		}
		return nil, nil, false
	})
	return told
}
