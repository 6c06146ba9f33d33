package testkafka

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestFakeInBubble waits ten minutes for a broker that is paused, in no time.
func TestFakeInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := Fake(t, Options{Brokers: 3, Network: &kfake.VirtualNetwork{}})
		c := Client(t, cl, kgo.RequestTimeoutOverhead(15*time.Minute))
		if _, err := kadm.NewClient(c).CreateTopic(t.Context(), 1, -1, nil, "t"); err != nil {
			t.Fatal(err)
		}
		cl.MoveLeader(t, "t", 0, 1)
		cl.Pause(t, 1)
		begin := time.Now()
		resume := time.AfterFunc(10*time.Minute, func() { cl.Resume(t, 1) })
		defer resume.Stop()
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t"}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 10*time.Minute {
			t.Fatalf("produced after %v", took)
		}
	})
}
