package copylock

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkadr/kafkadr/internal/clock"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// pass lets the bubble's time pass.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	if err := rawkafka.Sleep(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// waiter is a process whose last look at a topic is too old, and that doesn't look, while somebody
// waits in Held for a minute at most.
func waiter(t *testing.T) (one *process, topic kadm.TopicID, held <-chan error) {
	t.Helper()
	kafka := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
	one, topic = start(t, kafka, Config{Clock: clock.Go}), kadm.TopicID{1}
	one.claim(false, topic)
	one.stop()
	pass(t, lease)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	answer := make(chan error, 1)
	go func() { answer <- one.Held(ctx, topic) }()
	return one, topic, answer
}

// TestStoppedBeforeLook has a process stand still between the question whether it holds a topic and
// the look that answers it, for longer than a topic is looked at that nobody asks for.
//
//  1. Held finds the last look too old, and wakes Run.
//  2. The process stands still for five leases.
//  3. Run takes the wake-up, and has to look.
func TestStoppedBeforeLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, _, held := waiter(t)
		pass(t, 5*lease)
		run, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- one.Run(run) }()
		if err := <-held; err != nil {
			t.Errorf("held: %v", err)
		}
		stop()
		<-ended
	})
}

// TestClaimedWhileWaiting: who waits for a look is told of a claim too. Where it was denied there
// is no look.
func TestClaimedWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, topic, held := waiter(t)
		synctest.Wait()
		one.put(topic, &lock{denied: true})
		if err := <-held; err != nil {
			t.Errorf("held: %v", err)
		}
	})
}
