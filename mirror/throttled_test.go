package mirror

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestCompareThrottled: a fetch answer without the partition, as of a broker whose quota is exceeded, is asked for again.
func TestCompareThrottled(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{Fake: []kfake.Opt{kfake.SeedTopics(1, "orders")}})
	c, err := rawkafka.Connect(t.Context(), kafka.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	topics, err := c.Topics(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	testkafka.Kfake(kafka).ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		return req.ResponseKind(), nil, true
	})
	if _, err := fetch(t.Context(), c, rawkafka.Partition{Topic: "orders", TopicID: topics["orders"].ID}, 0, rawkafka.ReadCommitted); err != nil {
		t.Error(err)
	}
}
