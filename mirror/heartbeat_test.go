package mirror

import (
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

func TestHeartbeats(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	cfg := quickConfig(src, dst)
	cfg.Topics, cfg.Heartbeat = []string{"orders"}, 50*time.Millisecond
	create(t, src, 1, nil, "orders")
	r := start(t, cfg)
	s := r.until("heartbeats", func(s Status) bool { return s.Heartbeat.Count >= 3 })
	if h := s.Heartbeat; !h.Enabled || h.LatencyMillis <= 0 || h.LatencyMillis > 5000 || h.AgeMillis < 0 {
		t.Errorf("%+v", h)
	}
	r.stop()
	once(t, quickConfig(src, dst))
	same(t, src, dst, []string{"kafkadr-heartbeats-" + src.ID()})
}
