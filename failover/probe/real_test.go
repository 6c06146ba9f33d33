package probe

import (
	"context"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestReal holds the table's rows that need a real cluster of three brokers.
func TestReal(t *testing.T) {
	cl := testkafka.Real(t, testkafka.Options{Brokers: 3})
	createTopic(t, cl, "orders")
	create := RoundTrip(RoundTripConfig{Create: true})
	testkafka.Eventually(t, time.Minute, func(ctx context.Context) error { return create(ctx, Target{"primary", cl.Opts()}) })
	see := func(name string, want map[string]Kind) {
		t.Helper()
		for probe, p := range given {
			check(t, name+": "+probe, within(t, 3*second, p, Target{"primary", cl.Opts()}), want[probe])
		}
	}
	see("nothing", nil)
	cl.Pause(t, 1)
	see("one broker hangs", nil)
	cl.Resume(t, 1)
	cl.Kill(t, 1)
	see("one broker lost", nil)
	cl.Start(t, 1)
	all(cl, func(b int32) { cl.Pause(t, b) })
	see("all brokers hang", map[string]Kind{"metadata": Timeout, "canary": Timeout, "offline": Timeout}) // the kernel goes on accepting
	all(cl, func(b int32) { cl.Resume(t, b) })
	all(cl, func(b int32) { cl.Kill(t, b) })
	see("all brokers lost", map[string]Kind{"metadata": Unreachable, "tcp": Unreachable, "canary": Unreachable, "offline": Unreachable})
}
