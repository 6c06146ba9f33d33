package exactcopy

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestThrottled: a fetch answer without the partition, as of a broker whose quota is exceeded, is
// asked for again.
func TestThrottled(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	kf := testkafka.Kfake(kafka)
	tg := connect(t, kafka, Config{})
	name := tg.topic("t", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	kinds := tg.appendAll(p, 2, 4)
	tg.must(p.Flush(t.Context(), true))
	kf.ControlKey(int16(kmsg.DescribeProducers), func(req kmsg.Request) (kmsg.Response, error, bool) { // it has forgotten
		kf.KeepControl()
		return req.ResponseKind(), nil, true
	})
	var asked atomic.Int32
	kf.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		return req.ResponseKind(), nil, asked.Add(1) == 1
	})
	p = tg.opened(tg.newCopier(Config{}), name)
	kinds = append(kinds, tg.appendAll(p, 1, 4)...)
	tg.must(p.Flush(t.Context(), true))
	tg.check(name, kinds)
}
