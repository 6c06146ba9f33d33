package restore

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// On three brokers with a follower down, the leader stands still while the restore is killed and
// started again, with data and holes in flight: nothing is lost, doubled or moved.
func TestRealLeaderStandsStill(t *testing.T) {
	rounds, longest := 4, 3*time.Second
	if os.Getenv("KAFKADR_LONG") != "" {
		rounds, longest = 40, 40*time.Second
	}
	cl := pool.Real(t, testkafka.Options{Brokers: 3})
	ft := fakeTopic{name: "t", rf: 3, configs: map[string]string{"min.insync.replicas": "2"}}
	for p := range int64(3) {
		ft.partitions = append(ft.partitions, holey(t, p*10, 120), plain(t, p, 400, 10))
	}
	cfg := Config{Target: cl.Opts(), Snapshot: fakeArchive(t, nil, ft), MaxBytesPerSecond: 150_000}
	r := rand.New(rand.NewPCG(9, 9))
	between := func(from, to time.Duration) time.Duration { return from + rand.N(to-from) }
	ctx, kill := context.WithCancel(t.Context())
	done := start(ctx, cfg)
	down := int32(-1)
	for round := range rounds {
		wait(t, between(500*time.Millisecond, 8*time.Second))
		if round == 0 {
			down = notLeading(t, cl)
			cl.Kill(t, down)
			t.Cleanup(func() { cl.Start(t, down) }) // others share the cluster
		}
		stopped := leading(t, cl, int32(r.IntN(6)), down)
		cl.Pause(t, stopped)
		kill() // the process is gone, what it sent is not
		<-done
		ctx, kill = context.WithCancel(t.Context())
		done = start(ctx, cfg)
		pause := between(200*time.Millisecond, longest)
		wait(t, pause)
		cl.Resume(t, stopped)
		t.Logf("round %d: broker %d stood still for %s", round, stopped, pause)
	}
	if err := <-done; err != nil {
		if err := attempt(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	kill()
	checkTopics(t, cl, copyops.Filter{}, ft)
}

// start runs a restore; its end is sent once, and then the channel is closed.
func start(ctx context.Context, cfg Config) <-chan error {
	done := make(chan error, 1)
	go func() {
		done <- attempt(ctx, cfg)
		close(done)
	}()
	return done
}

// wait lets d go by.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func leaders(t *testing.T, cl testkafka.Cluster) map[int32]int32 {
	t.Helper()
	led := map[int32]int32{}
	testkafka.Eventually(t, time.Minute, func(ctx context.Context) error {
		c := testkafka.Client(t, cl)
		defer c.Close()
		topics, err := kadm.NewClient(c).ListTopics(ctx, "t")
		for _, p := range topics["t"].Partitions {
			led[p.Partition] = p.Leader
		}
		if err == nil && len(led) == 0 {
			err = errors.New("no topic yet")
		}
		return err
	})
	return led
}

// leading is the broker that leads a partition, once it isn't the one that is down; notLeading one
// that leads the fewest.
func leading(t *testing.T, cl testkafka.Cluster, partition, down int32) int32 {
	t.Helper()
	leader := int32(-1)
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		var ok bool
		if leader, ok = leaders(t, cl)[partition]; !ok || leader < 0 || leader == down {
			return errors.New("no new leader yet")
		}
		return nil
	})
	return leader
}

func notLeading(t *testing.T, cl testkafka.Cluster) int32 {
	t.Helper()
	count := map[int32]int{}
	for _, b := range leaders(t, cl) {
		count[b]++
	}
	least := cl.Brokers()[0]
	for _, b := range cl.Brokers() {
		if count[b] < count[least] {
			least = b
		}
	}
	return least
}
