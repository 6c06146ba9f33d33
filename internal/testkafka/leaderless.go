package testkafka

import (
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Leaderless has a fake of one broker list nothing but a topic, whose one partition has no leader,
// until lead is called: as Confluent Cloud does with partitions that are new. whole has the topic
// itself fail instead.
func Leaderless(t testing.TB, cl Cluster, topic string, whole bool) (lead func()) {
	t.Helper()
	host, port, err := net.SplitHostPort(cl.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	k := Kfake(cl)
	id, clusterID := k.TopicInfo(topic).TopicID, cl.ID()
	var led atomic.Bool
	k.ControlKey(int16(kmsg.Metadata), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.MetadataRequest)
		if led.Load() || req.Topics != nil && len(req.Topics) == 0 {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		b := kmsg.NewMetadataResponseBroker()
		b.Host, b.Port = host, int32(number) //nolint:gosec // a port
		resp.Brokers, resp.ClusterID = append(resp.Brokers, b), &clusterID
		rt := kmsg.NewMetadataResponseTopic()
		rt.Topic, rt.TopicID = &topic, id
		p := kmsg.NewMetadataResponseTopicPartition()
		if p.Leader, p.ErrorCode = -1, kerr.LeaderNotAvailable.Code; whole {
			rt.ErrorCode = kerr.LeaderNotAvailable.Code
		} else {
			rt.Partitions = append(rt.Partitions, p)
		}
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	return func() { led.Store(true) }
}
