package mm2

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestReadThrottled: a fetch answer without the partition, as of a broker whose quota is exceeded, is asked for again.
func TestReadThrottled(t *testing.T) {
	l := newLeft(t, "orders")
	l.produce(&kgo.Record{Topic: "orders", Value: []byte("one")})
	testkafka.Kfake(l.c).ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		return req.ResponseKind(), nil, true
	})
	tg := &target{cl: l.cl, adm: kadm.NewClient(l.cl), retryFor: time.Minute, onRetry: func(string, error) {}}
	n := 0
	if err := tg.read(t.Context(), span{topic: "orders", to: 1}, func(*kgo.Record) { n++ }); err != nil || n != 1 {
		t.Errorf("%d records, %v", n, err)
	}
}
