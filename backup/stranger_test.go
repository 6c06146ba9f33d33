package backup_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// inMemory is a cluster in memory with a topic and records.
func inMemory(t testing.TB, topic string, records int) testkafka.Cluster {
	t.Helper()
	cl := testkafka.Fake(t, testkafka.Options{Brokers: 3, Network: new(kfake.VirtualNetwork)})
	c := testkafka.Client(t, cl, kgo.DefaultProduceTopic(topic))
	if _, err := kadm.NewClient(c).CreateTopic(t.Context(), 1, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
	for range records {
		if err := c.ProduceSync(t.Context(), kgo.StringRecord("value")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return cl
}

// TestRunStranger has another cluster answer at the source's addresses while a Run reads: it ends
// with both IDs after half a minute, and nothing of the stranger is archived.
func TestRunStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := inMemory(t, "orders", 20), inMemory(t, "others", 3)
		shared := testkafka.Share(one, other)
		k := testkafka.Kfake(one)
		k.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
			shared.Turn(true)
			go shared.Cut(false)
			return nil, errors.New("cut off"), true
		})
		a := archive(t, bucket(t))
		begun := time.Now()
		_, err := backup.Run(t.Context(), backup.Config{Source: shared.Opts(), Archive: a})
		var wrong *backup.WrongClusterError
		if !errors.As(err, &wrong) || wrong.Want != one.ID() || wrong.Got != other.ID() {
			t.Fatalf("error %v", err)
		}
		if took := time.Since(begun); took < 29*time.Second || took > 45*time.Second {
			t.Errorf("ended after %v", took)
		}
		lineages, err := a.Lineages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lineages {
			if l.ClusterID != one.ID() {
				t.Errorf("the archive has a lineage of %s", l.ClusterID)
			}
		}
	})
}

// TestFollowStranger has another cluster answer for a while, which has none of the topics: nothing
// is marked deleted, the status names both, and the follower goes on with the right one.
func TestFollowStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stranger := inMemory(t, "orders", 20), inMemory(t, "others", 3)
		shared := testkafka.Share(c, stranger)
		a := archive(t, bucket(t))
		f := follow(t, t.Context(), backup.FollowerConfig{
			Config: backup.Config{Source: shared.Opts(), Archive: a}, Flush: time.Second, Every: 10 * time.Second, Discover: time.Second,
		})
		until(t, "no lag", func() bool { s := f.Status(); return s.Records >= 20 && s.LagRecords == 0 })
		shared.Turn(true)
		shared.Cut(false)
		until(t, "the status names the stranger", func() bool {
			w := f.Status().WrongCluster
			return w != nil && w.Want == c.ID() && w.Got == stranger.ID()
		})
		client := testkafka.Client(t, c, kgo.DefaultProduceTopic("orders"))
		for range 20 {
			if err := client.ProduceSync(t.Context(), kgo.StringRecord("value")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Minute) //nolint:forbidigo // simulated time
		if s := f.Status(); s.Records != 20 || s.WrongCluster == nil {
			t.Errorf("%d records were archived meanwhile; wrong cluster: %v", s.Records-20, s.WrongCluster)
		}
		shared.Turn(false)
		time.Sleep(time.Minute) //nolint:forbidigo // simulated time
		if s := f.Status(); s.Records != 40 || s.LagRecords != 0 || s.WrongCluster != nil {
			t.Errorf("a minute after the right one is back: %+v", s)
		}
		s := f.stop(a)
		if diff := cmp.Diff(sourceRecords(t, c.Opts(), "orders", 0, 40), archived(t, s, "orders", 0)); diff != "" {
			t.Error(diff)
		}
		if !topicOf(t, s, "orders").Deleted.IsZero() || slices.ContainsFunc(f.incarnations, func(t storage.Topic) bool { return !t.Deleted.IsZero() }) {
			t.Error("the topic counts as deleted")
		}
		verified(t, a, s)
	})
}

// TestAdvertisedUnreachable names a broker that can't be reached at its advertised address, while a
// Run still tries.
func TestAdvertisedUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vn := new(kfake.VirtualNetwork)
		cl := testkafka.Fake(t, testkafka.Options{Brokers: 2, Network: vn})
		if _, err := kadm.NewClient(testkafka.Client(t, cl)).CreateTopic(t.Context(), 8, 1, nil, "orders"); err != nil {
			t.Fatal(err)
		}
		away := cl.Addrs()[1]
		source := append(cl.Opts(), kgo.SeedBrokers(cl.Addrs()[0]), kgo.Dialer(func(ctx context.Context, n, addr string) (net.Conn, error) {
			if addr == away {
				return nil, &net.OpError{Op: "dial", Net: n, Err: errors.New("connection refused")}
			}
			return vn.DialContext(ctx, n, addr)
		}))
		var mu sync.Mutex
		var named []*backup.UnreachableError
		var after time.Duration
		begun := time.Now()
		_, err := backup.Run(t.Context(), backup.Config{Source: source, Archive: archive(t, bucket(t)), Hooks: backup.Hooks{
			OnUnreachable: func(err *backup.UnreachableError) {
				mu.Lock()
				defer mu.Unlock()
				named, after = append(named, err), time.Since(begun)
			},
		}})
		mu.Lock()
		defer mu.Unlock()
		if len(named) != 1 || named[0].Broker != 1 || named[0].Addr != away || after > 10*time.Second {
			t.Errorf("named %v after %v", named, after)
		}
		var unreachable *backup.UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Broker != 1 {
			t.Errorf("error %v", err)
		}
	})
}
