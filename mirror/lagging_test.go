package mirror

import (
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestLaggingBrokers: one broker of three doesn't know of a topic, for good, of the copy or of the
// source's. Neither is taken for deleted.
func TestLaggingBrokers(t *testing.T) {
	for _, side := range []string{"source", "target"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel() // it waits
			src, dst := testkafka.Fake(t, testkafka.Options{Brokers: 3}), testkafka.Fake(t, testkafka.Options{Brokers: 3})
			create(t, src, 1, nil, "t", "u")
			produce(t, src, "t", 1, 20)
			produce(t, src, "u", 1, 20)
			ignorant := src
			if side == "target" {
				ignorant = dst
			}
			var begun atomic.Bool
			told := testkafka.Lagging(ignorant, "t", func(node int32) bool { return begun.Load() && node == 1 }, "u")
			cfg := quickConfig(src, dst)
			cfg.Discover = 50 * time.Millisecond
			cfg.Policies = Policies{TopicDeleted: Delete}
			begun.Store(side == "target") // from the start: the copy isn't there yet
			r := start(t, cfg)
			r.caughtUp(src, "t", "u")
			begun.Store(true)
			r.until("many looks", func(Status) bool { return told.Load() > 50 })
			begun.Store(false)
			produce(t, src, "t", 1, 20)
			r.caughtUp(src, "t", "u")
			same(t, src, dst, []string{"t", "u"})
			if s := r.Status(); s.Events[TopicDeleted]+s.Events[StandbyDeleted]+s.Events[TopicRecreated] > 0 {
				t.Error(s.Recent)
			}
			r.stop()
		})
	}
}

// TestOnceLaggingBroker: each run of a Once copies all, whichever side has a broker of three that
// doesn't know a topic. 100 runs of each with KAFKADR_LONG.
func TestOnceLaggingBroker(t *testing.T) {
	runs := 3
	if os.Getenv("KAFKADR_LONG") != "" {
		runs = 100
	}
	for _, side := range []string{"source", "target"} {
		t.Run(side, func(t *testing.T) {
			src, dst := testkafka.Fake(t, testkafka.Options{Brokers: 3}), testkafka.Fake(t, testkafka.Options{Brokers: 3})
			create(t, src, 2, nil, "t", "u")
			ignorant := src
			if side == "target" {
				ignorant = dst
			}
			var begun atomic.Bool
			testkafka.Lagging(ignorant, "t", func(node int32) bool { return begun.Load() && node == 1 }, "u")
			for i := range runs {
				begun.Store(false)
				produce(t, src, "t", 2, 5)
				produce(t, src, "u", 2, 5)
				begun.Store(true)
				s := once(t, quickConfig(src, dst)).Status()
				if len(s.Topics) != 2 || s.Records != 20 || s.Events[TopicDeleted]+s.Events[StandbyDeleted]+s.Events[TopicRecreated] > 0 {
					t.Errorf("run %d: %d topics, %d records, %v", i, len(s.Topics), s.Records, s.Recent)
				}
			}
			begun.Store(false)
			same(t, src, dst, []string{"t", "u"})
		})
	}
}

// TestStandbyBackAgain: a copy that no broker knew of for a while is there again, under the ID that
// it had. It is mirrored on.
func TestStandbyBackAgain(t *testing.T) {
	src, dst := pairOf(t, "t", "u")
	var begun atomic.Bool
	testkafka.Lagging(dst, "t", func(int32) bool { return begun.Load() }, "u")
	r := start(t, quickConfig(src, dst))
	r.caughtUp(src, "t", "u")
	for range 2 {
		begun.Store(true)
		r.stopsWith(StandbyDeleted, "t")
		produce(t, src, "t", 1, 20)
		begun.Store(false)
		r.caughtUp(src, "t", "u")
	}
	same(t, src, dst, []string{"t", "u"})
	if s := r.Status(); s.Events[StandbyDeleted] != 2 || s.Events[Recovered] != 2 {
		t.Error(s.Recent)
	}
	r.stop()
}
