package mirror

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// running is a mirror that runs.
type running struct {
	testing.TB
	*Mirror
	ended chan error
}

// start runs a mirror until the test ends.
func start(t testing.TB, cfg Config) *running {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t, m, make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-m.done:
		case <-time.After(10 * time.Second):
			t.Error("Run doesn't end")
		}
	})
	return r
}

// stop stops it cleanly.
func (r *running) stop() {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		r.Error(err)
	}
	if err := <-r.ended; err != nil {
		r.Error(err)
	}
}

// until waits for a status.
func (r *running) until(what string, is func(Status) bool) Status {
	r.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		s := r.Status()
		if is(s) {
			return s
		}
		select {
		case err := <-r.ended:
			r.Fatalf("waiting for %s: Run has ended: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			r.Fatalf("waiting for %s: %s", what, short(s))
		}
	}
}

// short says of a status what isn't as it should be.
func short(s Status) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%+v, %d retries, events %v, left out %v", s.Totals, s.Retries, s.Events, s.LeftOut)
	for _, e := range s.Recent {
		fmt.Fprintf(&b, "\n%v", e)
	}
	for _, t := range s.Topics {
		for _, p := range t.Detail {
			if p.State != Copying || p.LagRecords != 0 {
				fmt.Fprintf(&b, "\n%s: %+v", t.Source, p)
			}
		}
	}
	return b.String()
}

// caughtUp waits until nothing is behind the sources' ends of now.
func (r *running) caughtUp(src testkafka.Cluster, topics ...string) {
	r.Helper()
	adm := kadm.NewClient(testkafka.Client(r, src))
	ends, err := adm.ListCommittedOffsets(r.Context(), topics...)
	if err != nil {
		r.Fatal(err)
	}
	r.until("catching up", func(s Status) bool {
		for _, topic := range topics {
			for _, o := range ends[topic] {
				if p, ok := find(s, topic, o.Partition); !ok || p.Durable < o.Offset {
					return false
				}
			}
		}
		return true
	})
}

func find(s Status, topic string, partition int32) (PartitionStatus, bool) {
	for _, t := range s.Topics {
		if t.Source == topic {
			for _, p := range t.Detail {
				if p.Partition == partition {
					return p, true
				}
			}
		}
	}
	return PartitionStatus{}, false
}

// produce writes n records to each partition.
func produce(t testing.TB, cl testkafka.Cluster, topic string, partitions int32, n int) {
	t.Helper()
	c := testkafka.Client(t, cl, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	var rs []*kgo.Record
	for p := range partitions {
		for i := range n {
			rs = append(rs, &kgo.Record{Topic: topic, Partition: p, Key: fmt.Append(nil, "k", i%7), Value: fmt.Append(nil, "v", time.Now().UnixNano())})
		}
	}
	if err := c.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestLive(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 2, nil, "orders")
	produce(t, src, "orders", 2, 100)
	r := start(t, quickConfig(src, dst))
	r.caughtUp(src, "orders")
	same(t, src, dst, []string{"orders"})
	produce(t, src, "orders", 2, 10)
	r.caughtUp(src, "orders")

	// A new topic, new partitions.
	create(t, src, 1, nil, "new")
	produce(t, src, "new", 1, 5)
	adm := kadm.NewClient(testkafka.Client(t, src))
	if _, err := adm.UpdatePartitions(t.Context(), 4, "orders"); err != nil {
		t.Fatal(err)
	}
	r.until("new partitions", func(s Status) bool {
		_, ok := find(s, "orders", 3)
		_, there := find(s, "new", 0)
		return ok && there
	})
	produce(t, src, "orders", 4, 10)
	r.caughtUp(src, "orders", "new")
	same(t, src, dst, []string{"orders", "new"})

	// The log start moves.
	var os kadm.Offsets
	os.Add(kadm.Offset{Topic: "orders", Partition: 0, At: 50})
	if _, err := adm.DeleteRecords(t.Context(), os); err != nil {
		t.Fatal(err)
	}
	startsAt(t, dst, "orders", 50)
	r.stop()
	produce(t, src, "orders", 4, 10)
	r = start(t, quickConfig(src, dst))
	r.caughtUp(src, "orders")
	same(t, src, dst, []string{"orders", "new"})
	if s := r.Status(); len(s.Events) > 0 && s.Events[Recovered]+s.Events[Failed] > 0 {
		t.Error(s.Recent)
	}
	r.stop()
}

// TestStandbyStartComesBack: a log start that the standby's brokers have forgotten since it was
// moved, as those do that are killed, is moved again.
func TestStandbyStartComesBack(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "orders")
	produce(t, src, "orders", 1, 20)
	deleteBeforeAt(t, src, "orders", 7)
	var forgetful atomic.Bool
	forgetful.Store(true)
	testkafka.ForgetDeletes(dst, func(*kmsg.DeleteRecordsRequest) bool { return forgetful.Load() })
	r := start(t, quickConfig(src, dst))
	r.caughtUp(src, "orders")
	forgetful.Store(false)
	startsAt(t, dst, "orders", 7)
	same(t, src, dst, []string{"orders"})
	r.stop()

	// Once looks again before it ends.
	other := testkafka.Fake(t, testkafka.Options{})
	testkafka.ForgetDeletes(other, func(*kmsg.DeleteRecordsRequest) bool { return forgetful.CompareAndSwap(false, true) })
	once(t, quickConfig(src, other))
	same(t, src, other, []string{"orders"})
}

// startsAt waits until the log of a topic's first partition starts at an offset.
func startsAt(t testing.TB, cl testkafka.Cluster, topic string, want int64) {
	t.Helper()
	adm := kadm.NewClient(testkafka.Client(t, cl))
	testkafka.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		got, err := adm.ListStartOffsets(ctx, topic)
		if o, _ := got.Lookup(topic, 0); err == nil && o.Offset != want {
			err = fmt.Errorf("the log starts at %d", o.Offset)
		}
		return err
	})
}
