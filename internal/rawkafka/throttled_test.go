package rawkafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// TestReadThrottled: a fetch answer without the partition, as of a broker whose quota is exceeded,
// is asked for again.
func TestReadThrottled(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	rc := connect(t, c, rawkafka.Config{})
	asked := false
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		asked = true
		return req.ResponseKind(), nil, true
	})
	if _, _, err := rc.Read(t.Context(), partition(t, rc, "orders", 0), 0, rawkafka.ReadConfig{}); err != nil || !asked {
		t.Error(err, asked)
	}
}
