package restore_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/restore"
)

// TestStranger has another cluster answer at the target's addresses while a restore writes: it ends
// with both IDs after half a minute, having asked the stranger for nothing but its name, and goes
// on when it is run again on the right one.
func TestStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inMemory := func() testkafka.Cluster {
			return testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		}
		src, dst, other := inMemory(), inMemory(), inMemory()
		c := testkafka.Client(t, src, kgo.DefaultProduceTopic("orders"))
		if _, err := kadm.NewClient(c).CreateTopic(t.Context(), 1, 1, nil, "orders"); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := c.ProduceSync(t.Context(), kgo.StringRecord("value")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		s := snapshotOf(t, src)
		shared := testkafka.Share(dst, other)
		cfg := restore.Config{Target: shared.Opts(), Snapshot: s}
		p, err := restore.NewPlan(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		asked := map[string]int{}
		strange := testkafka.Kfake(other)
		strange.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
			strange.KeepControl()
			mu.Lock()
			defer mu.Unlock()
			asked[kmsg.NameForKey(req.Key())]++
			return nil, nil, false
		})
		testkafka.Kfake(dst).ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			shared.Turn(true)
			go shared.Cut(false)
			return nil, errors.New("cut off"), true
		})
		begun := time.Now()
		_, err = p.Run(t.Context())
		var wrong *restore.WrongClusterError
		if !errors.As(err, &wrong) || wrong.Want != dst.ID() || wrong.Got != other.ID() {
			t.Fatalf("error %v", err)
		}
		if took := time.Since(begun); took < 29*time.Second || took > 45*time.Second {
			t.Errorf("ended after %v", took)
		}
		mu.Lock()
		for name, n := range asked {
			if name != "ApiVersions" && name != "Metadata" {
				t.Errorf("the stranger got %d %s", n, name)
			}
		}
		mu.Unlock()
		shared.Turn(false)
		runOn(t, cfg)
		want, err := testkafka.Capture(t.Context(), src.Opts(), []string{"orders"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range testkafka.DiffContent(t, want, testkafka.ReadSpec{Opts: dst.Opts()}) {
			t.Error(d)
		}
	})
}
