package control

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestEndsReal takes the high watermark where a follower doesn't come, and says so.
func TestEndsReal(t *testing.T) {
	b := testkafka.Real(t, testkafka.Options{Brokers: 3})
	cl := testkafka.Client(t, b, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 3, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	b.MoveLeader(t, "orders", 0, 1)
	send := func() {
		t.Helper()
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	ends := func() ([]register.Fork, []string) {
		t.Helper()
		forks, notes, err := kafkaAccess{}.ends(t.Context(), failover.Cluster{Opts: b.Opts()}, []string{"orders"})
		if err != nil || len(forks) != 1 {
			t.Fatal(forks, err)
		}
		return forks, notes
	}
	for n := range int64(20) {
		send()
		if forks, notes := ends(); forks[0].Offset != n+1 || len(notes) > 0 {
			t.Fatal("an acked record isn't below the end", forks, notes)
		}
	}
	b.Pause(t, 2)
	defer b.Resume(t, 2)
	start := time.Now()
	send()
	forks, notes := ends()
	if time.Since(start) < 10*time.Second && (forks[0].Offset != 20 || len(notes) != 1 || !strings.Contains(notes[0], "orders/0")) { // later the follower has left the ISR
		t.Error(forks, notes)
	}
}
