package copylock

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkadr/kafkadr/internal/clock"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestSuspended: a holder whose machine was suspended, so that its monotonic clock stood still,
// looks again before it believes that it holds a topic; as does one whose machine has no other
// clock than the wall's to see it.
func TestSuspended(t *testing.T) {
	for name, sees := range map[string]func(clock.Instant, time.Duration) clock.Instant{
		"clock since boot": func(i clock.Instant, slept time.Duration) clock.Instant {
			i.Boot = time.Since(time.Unix(0, 0)) + slept
			return i
		},
		"wall clock": func(i clock.Instant, slept time.Duration) clock.Instant {
			i.Wall = i.Wall.Add(slept)
			return i
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kafka := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
				var slept atomic.Int64
				topic := kadm.TopicID{1}
				one := start(t, kafka, Config{Clock: func() clock.Instant { return sees(clock.Go(), time.Duration(slept.Load())) }})
				one.claim(false, topic)
				one.held(topic, nil)
				// While one is suspended, two takes the topic over: raise is what it does before it
				// waits for one's lease.
				two := start(t, kafka, Config{Clock: clock.Go})
				var denied *DeniedError
				if had, err := two.raise(t.Context(), []kadm.TopicID{topic}, &denied); err != nil || !had {
					t.Fatal(had, err)
				}
				slept.Store(int64(lease))
				one.held(topic, ErrTakenOver)
			})
		})
	}
}
