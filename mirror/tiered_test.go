package mirror

import (
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// A topic in tiered storage is mirrored, and compared, also where the storage stands still for a
// while; a topic beside it isn't held up.
func TestRealTiered(t *testing.T) {
	src, dst := testkafka.Real(t, testkafka.Options{Tiered: true}), testkafka.Fake(t, testkafka.Options{})
	testkafka.FillTiered(t, src, "tiered", 500)
	create(t, src, 1, nil, "beside")
	produce(t, src, "beside", 1, 10)
	cfg := quickConfig(src, dst)
	cfg.tuning.retryFor, cfg.Topics = time.Minute, []string{"tiered", "beside"}
	release := testkafka.StallRemote(t, src, "tiered")
	r := start(t, cfg)
	for range 3 {
		produce(t, src, "beside", 1, 10)
		r.caughtUp(src, "beside")
	}
	if p, _ := find(r.Status(), "tiered", 0); p.Position > 0 {
		t.Errorf("%+v", p)
	}
	release()
	r.caughtUp(src, "tiered")
	r.stop()
	same(t, src, dst, []string{"tiered", "beside"})

	// A mirror that begins again compares: where it stands, records are in the storage alone.
	testkafka.FillTiered(t, src, "tiered", 300)
	released := make(chan struct{})
	release = testkafka.StallRemote(t, src, "tiered")
	time.AfterFunc(3*time.Second, func() {
		release()
		close(released)
	})
	once(t, cfg)
	select {
	case <-released:
	default:
		t.Error("the storage hadn't answered yet")
		<-released
	}
	same(t, src, dst, []string{"tiered", "beside"})
}
