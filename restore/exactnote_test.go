package restore

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestNoteDenied: who may not write the ledger's topic has all restored, and is told what that
// costs.
func TestNoteDenied(t *testing.T) {
	cfg, cl := fakeConfig(t, fakeArchive(t, nil, fakeTopic{name: "t", partitions: []opstest.History{plain(t, 0, 3, 5)}}))
	k := testkafka.Kfake(cl)
	k.ControlKey(int16(kmsg.CreateTopics), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.CreateTopicsRequest)
		if req.Topics[0].Topic != ledger.Topic {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		rt := kmsg.NewCreateTopicsResponseTopic()
		rt.Topic, rt.ErrorCode = ledger.Topic, kerr.TopicAuthorizationFailed.Code
		resp.Topics = append(resp.Topics, rt)
		return resp, nil, true
	})
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	res, err := p.Run(t.Context())
	if err != nil || res.Records != 15 || len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], "isn't noted on the target") {
		t.Errorf("%+v, %v", res, err)
	}
}
