package mirror

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// simulated runs a test in simulated time, with a source and a standby that live in it.
func simulated(t *testing.T, brokers int, test func(t *testing.T, src, dst testkafka.Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fake := func() testkafka.Cluster {
			return testkafka.Fake(t, testkafka.Options{Brokers: brokers, Network: new(kfake.VirtualNetwork)})
		}
		test(t, fake(), fake())
	})
}

// pass lets the time pass.
func pass(t testing.TB, d time.Duration) {
	t.Helper()
	if err := rawkafka.Sleep(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// The limit on bytes per second holds for all of the source's brokers together, and is made use of.
func TestMaxBytesPerSecond(t *testing.T) {
	simulated(t, 3, func(t *testing.T, src, dst testkafka.Cluster) {
		const mib, perSecond = 1 << 20, 1 << 18
		create(t, src, 6, nil, "t")
		for p := range 6 {
			src.MoveLeader(t, "t", int32(p), int32(p%3))
		}
		c := testkafka.Client(t, src, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
		for i := range 6 * 8 {
			value := make([]byte, 100_000)
			if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: int32(i % 6), Value: value}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		const bytes = 6 * 8 * 100_000
		cfg := Config{Source: src.Opts(), Target: dst.Opts(), MaxBytesPerSecond: perSecond, MemoryBytes: mib}
		began := time.Now()
		once(t, cfg)
		took := time.Since(began)
		// What a second may bring comes at once, and so does the last response of each broker: at
		// most an eighth of the memory, and a batch.
		takes := func(bytes int) time.Duration { return time.Duration(bytes) * time.Second / perSecond }
		least, most := takes(bytes-perSecond-3*(mib/8+100_100)), takes(bytes)+10*time.Second
		if t.Logf("%d bytes in %s, at least %s", bytes, took, least); took < least || took > most {
			t.Errorf("%d bytes took %s, want at least %s and at most %s", bytes, took, least, most)
		}
		same(t, src, dst, []string{"t"})
	})
}

// With the intervals that it has by default, what a group commits at the source is on the standby
// within five seconds: an advance, a rewind, a new group.
func TestGroupInterval(t *testing.T) {
	simulated(t, 1, func(t *testing.T, src, dst testkafka.Cluster) {
		create(t, src, 1, nil, "t")
		produce(t, src, "t", 1, 100)
		r := start(t, Config{Source: src.Opts(), Target: dst.Opts()})
		r.caughtUp(src, "t")
		r.until("a look at groups", func(s Status) bool { return s.Groups.AgeMillis >= 0 })
		adm := kadm.NewClient(testkafka.Client(t, dst))
		random := rand.New(rand.NewPCG(1, 1))
		var longest time.Duration
		for i := range 24 {
			group, at := []string{"g", "h"}[i/20], random.Int64N(101)
			if i > 0 && i != 20 {
				at = (committed(t, src, group, "t") + 1 + random.Int64N(100)) % 101
			}
			pass(t, time.Duration(random.Int64N(int64(7*time.Second))))
			commit(t, src, group, "t", at)
			began := time.Now()
			for {
				os, err := adm.FetchOffsets(t.Context(), group)
				if o, _ := os.Lookup("t", 0); err == nil && o.At == at && len(os) > 0 {
					break
				}
				if pass(t, 10*time.Millisecond); time.Since(began) > time.Minute {
					t.Fatalf("commit %d of %s, %d, isn't on the standby within a minute: %v %v", i, group, at, os, err)
				}
			}
			longest = max(longest, time.Since(began))
		}
		if t.Logf("at most %s", longest); longest > 5*time.Second {
			t.Errorf("a commit took %s", longest)
		}
		r.stop()
	})
}

// A transaction that stays open holds the last stable offset back: that is said after a minute,
// once, at the log's very beginning too; nothing behind it is mirrored before it ends.
func TestLSOStuck(t *testing.T) {
	for _, before := range []int{0, 7} {
		simulated(t, 1, func(t *testing.T, src, dst testkafka.Cluster) {
			create(t, src, 1, nil, "bad", "good")
			if before > 0 {
				produce(t, src, "bad", 1, before)
			}
			r := start(t, Config{Source: src.Opts(), Target: dst.Opts()})
			r.caughtUp(src, "bad", "good")
			c := testkafka.Client(t, src, kgo.TransactionalID("open"), kgo.TransactionTimeout(10*time.Minute), kgo.DefaultProduceTopic("bad"))
			for round := range int64(2) {
				if err := c.BeginTransaction(); err != nil {
					t.Fatal(err)
				}
				lso := int64(before) + round*4
				for range 3 {
					if err := c.ProduceSync(t.Context(), &kgo.Record{Value: []byte("v")}).FirstErr(); err != nil {
						t.Fatal(err)
					}
				}
				pass(t, 55*time.Second)
				if n := r.Status().Events[LSOStuck]; n != round {
					t.Errorf("%d events before the minute is over, want %d", n, round)
				}
				pass(t, 3*time.Minute)
				produce(t, src, "good", 1, 5)
				r.caughtUp(src, "good")
				s := r.Status()
				p, _ := find(s, "bad", 0)
				if s.Events[LSOStuck] != round+1 || p.Event == nil || p.Event.Kind != LSOStuck || p.Event.Offset != lso || p.Event.Other != lso+3 || p.Event.Policy != "" {
					t.Errorf("after %d records: %d events, the last %+v, want one at %d of %d", before, s.Events[LSOStuck], p.Event, lso, lso+3)
				}
				if p.Durable != lso || p.State != Copying {
					t.Errorf("%+v", p)
				}
				if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
					t.Fatal(err)
				}
				r.caughtUp(src, "bad")
			}
			same(t, src, dst, []string{"bad", "good"})
			r.stop()
		})
	}
}
