package mirror

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

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

// Where heartbeats may not be written at the source, be it that their topic can't be made or that
// it can't be written to, that is said once; everything else goes on, and so do heartbeats as soon
// as the right is there.
func TestHeartbeatDenied(t *testing.T) {
	for _, may := range []kadm.ACLOperation{kadm.OpDescribe, kadm.OpCreate} {
		t.Run(may.String(), func(t *testing.T) {
			src, dst := securedFake(t), testkafka.Fake(t, testkafka.Options{})
			beats := "kafkadr-heartbeats-" + src.ID()
			create(t, src, 1, nil, "orders")
			testkafka.Allow(t, src, "mm", kadm.NewACLs().Topics("*").Operations(kadm.OpRead, kadm.OpDescribeConfigs))
			testkafka.Allow(t, src, "mm", kadm.NewACLs().Clusters().Operations(kadm.OpDescribe))
			testkafka.Allow(t, src, "mm", kadm.NewACLs().Topics(beats).Operations(may))
			asked := make(chan struct{}, 10_000)
			k := testkafka.Kfake(src)
			for _, key := range []kmsg.Key{kmsg.CreateTopics, kmsg.Produce} {
				k.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
					k.KeepControl()
					select {
					case asked <- struct{}{}:
					default:
					}
					return nil, nil, false
				})
			}
			cfg := quickConfig(src, dst)
			cfg.Source, cfg.Topics, cfg.Heartbeat = src.UserOpts("mm", "secret"), []string{"orders"}, 50*time.Millisecond
			r := start(t, cfg)
			s := r.until("the event", func(s Status) bool { return s.Events[HeartbeatDenied] > 0 })
			before := len(asked)
			produce(t, src, "orders", 1, 10)
			r.caughtUp(src, "orders")
			again := time.Now()
			r.until("looking again", func(s Status) bool { return time.Since(again) > time.Second })
			if n := len(asked) - before; n > 30 {
				t.Errorf("asked %d times within a second or so", n)
			}
			if s = r.Status(); s.Events[HeartbeatDenied] != 1 || s.Heartbeat.Enabled || s.Stopped > 0 {
				t.Errorf("%+v %v", s.Heartbeat, s.Recent)
			}
			testkafka.Allow(t, src, "mm", kadm.NewACLs().Topics(beats).Operations(kadm.OpCreate, kadm.OpWrite))
			r.until("heartbeats", func(s Status) bool { return s.Heartbeat.Enabled && s.Heartbeat.Count >= 3 })
			same(t, src, dst, []string{"orders"})
			r.stop()
		})
	}
}
