package mirror

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// A Once whose groups the standby doesn't take isn't a success.
func TestOnceGroupsFail(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "t")
	produce(t, src, "t", 1, 5)
	commit(t, src, "g", "t", 3)
	k := testkafka.Kfake(dst)
	k.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := req.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, rt := range req.(*kmsg.OffsetCommitRequest).Topics {
			at := kmsg.NewOffsetCommitResponseTopic()
			at.Topic, at.TopicID = rt.Topic, rt.TopicID
			for _, rp := range rt.Partitions {
				p := kmsg.NewOffsetCommitResponseTopicPartition()
				p.Partition, p.ErrorCode = rp.Partition, kerr.GroupAuthorizationFailed.Code
				at.Partitions = append(at.Partitions, p)
			}
			resp.Topics = append(resp.Topics, at)
		}
		return resp, nil, true
	})
	cfg := quickConfig(src, dst)
	cfg.Once, cfg.tuning.inStep = true, time.Millisecond
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "groups aren't in step") {
		t.Errorf("the groups weren't committed, and Run says %v", err)
	}
}

// What was committed last is noted when the mirror ends: it needn't have come to rest.
func TestGroupsNoted(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "t")
	produce(t, src, "t", 1, 5)
	commit(t, src, "g", "t", 3)
	r := start(t, quickConfig(src, dst))
	r.caughtUp(src, "t")
	r.until("the commit", func(s Status) bool { return s.Groups.Committed == 1 })
	r.until("a look behind it", func(s Status) bool { return s.Groups.Groups == 1 && s.Groups.Committed == 0 })
	r.stop()
	c, err := rawkafka.Connect(t.Context(), dst.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l, err := ledger.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	noted := 0
	for key, value := range l.Each("groups/") {
		noted++
		if strings.Contains(string(value), `"open":true`) {
			t.Errorf("%s is left open: %s", key, value)
		}
	}
	if noted == 0 {
		t.Error("no groups are noted")
	}
}
