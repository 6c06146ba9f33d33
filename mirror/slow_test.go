package mirror

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/internal/testpass"
)

// slowPair are a source and a standby of three brokers each. Of the topic many all partitions are
// led by broker 0 of the side that stands still later, and by brokers that are well on the other
// side; the one partition of one, and the standby's ledger, have nothing to do with that broker.
type slowPair struct {
	*testing.T
	src, dst testkafka.Cluster
	still    testkafka.Cluster // src or dst
	n        int32
	*running
}

func startSlowPair(t *testing.T, src, dst, still testkafka.Cluster, n int32, cfg Config) *slowPair {
	t.Helper()
	sp := &slowPair{T: t, src: src, dst: dst, still: still, n: n}
	create(t, src, n, nil, "many")
	create(t, src, 1, nil, "one")
	produce(t, src, "many", n, 1)
	produce(t, src, "one", 1, 1)
	cfg.Source, cfg.Target = src.Opts(), dst.Opts()
	sp.running = start(t, cfg)
	sp.caughtUp(src, "many", "one")
	for _, cl := range []testkafka.Cluster{src, dst} {
		broker := int32(1)
		if cl == still {
			broker = 0
		}
		for p := range n {
			cl.MoveLeader(t, "many", p, broker)
		}
		cl.MoveLeader(t, "one", 0, 1)
	}
	dst.MoveLeader(t, "__kafkadr", 0, 2)
	produce(t, src, "many", n, 1)
	produce(t, src, "one", 1, 1)
	sp.caughtUp(src, "many", "one")
	return sp
}

// latencies are how long records of a partition took to the standby, in order.
func (sp *slowPair) latencies(topic string, n int, every time.Duration) []time.Duration {
	sp.T.Helper()
	c := quickClient(sp.T, sp.src)
	if err := c.ProduceSync(sp.T.Context(), &kgo.Record{Topic: topic}).FirstErr(); err != nil {
		sp.T.Fatal(err)
	}
	var took []time.Duration
	for range n {
		pass(sp.T, every)
		began := time.Now()
		r := kgo.Record{Topic: topic, Value: []byte("v")}
		if err := c.ProduceSync(sp.T.Context(), &r).FirstErr(); err != nil {
			sp.T.Fatal(err)
		}
		sp.position(topic, r.Offset+1, 2*time.Minute)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took
}

// position waits until partition 0 of a topic has got somewhere.
func (sp *slowPair) position(topic string, offset int64, most time.Duration) {
	sp.T.Helper()
	for began := time.Now(); ; pass(sp.T, 5*time.Millisecond) {
		if p, ok := find(sp.Status(), topic, 0); ok && p.Position >= offset {
			return
		}
		if time.Since(began) > most {
			sp.T.Fatalf("%s isn't at %d after %s: %s", topic, offset, most, short(sp.Status()))
		}
	}
}

// mirrored waits until those of a topic's six partitions are mirrored whose copies aren't led by
// the broker that stands still.
func (sp *slowPair) mirrored(topic string, most time.Duration) {
	sp.T.Helper()
	for began := time.Now(); ; pass(sp.T, 10*time.Millisecond) {
		n := 0
		for p := range int32(6) {
			still := sp.still == sp.dst && testkafka.Kfake(sp.dst).LeaderFor(topic, p) == 0
			if s, ok := find(sp.Status(), topic, p); still || ok && s.Position > 0 {
				n++
			}
		}
		if n == 6 {
			return
		}
		if time.Since(began) > most {
			sp.T.Fatalf("%d of %s's partitions are mirrored", n, topic)
		}
	}
}

func within(t *testing.T, what string, took, most time.Duration) {
	t.Helper()
	if t.Logf("%s: %s", what, took); took > most {
		t.Errorf("%s took %s, want at most %s", what, took, most)
	}
}

// A broker that stands still, of the standby or of the source, costs its own partitions only, be
// they more than there are workers: the others' records go on arriving, topics that are new are
// mirrored, partitions whose leader at the source moves go on, and the mirror can be stopped.
func TestSlowBroker(t *testing.T) {
	for _, n := range testpass.Few(t, 1, []int32{60, 300}) {
		testSlowBroker(t, n)
	}
}

func testSlowBroker(t *testing.T, n int32) {
	t.Helper()
	for _, side := range []string{"standby", "source"} {
		t.Run(fmt.Sprint(side, n), func(t *testing.T) {
			simulated(t, 3, func(t *testing.T, src, dst testkafka.Cluster) {
				still := map[string]testkafka.Cluster{"standby": dst, "source": src}[side]
				sp := startSlowPair(t, src, dst, still, n, Config{Discover: time.Second})
				t.Cleanup(func() { still.Resume(t, 0) })
				if still == dst {
					still.Pause(t, 0)
					produce(t, src, "many", sp.n, 1)
				} else {
					produce(t, src, "many", sp.n, 1)
					still.Pause(t, 0)
				}
				took := sp.latencies("one", 100, 317*time.Millisecond)
				within(t, "p50", took[len(took)/2], 100*time.Millisecond)
				within(t, "p99", took[len(took)*99/100-1], 100*time.Millisecond)
				within(t, "max", took[len(took)-1], time.Second)
				for i := range 3 {
					name, began := fmt.Sprint("new", i), time.Now()
					createOn(t, src, name, 6, 1)
					appendTo(t, src, name, 6, 1)
					sp.mirrored(name, time.Minute)
					within(t, "a new topic", time.Since(began), 5*time.Second)
				}
				for i := range int32(3) {
					src.MoveLeader(t, "one", 0, 1+i%2)
					end := appendTo(t, src, "one", 1, 1)
					began := time.Now()
					sp.position("one", end, time.Minute)
					within(t, "a leader move", time.Since(began), 5*time.Second)
				}
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
				defer cancel()
				_ = sp.Stop(ctx)
				within(t, "stop", time.Since(began), 10*time.Second)
			})
		})
	}
}

// quickClient is a client that soon asks another broker.
func quickClient(t *testing.T, cl testkafka.Cluster) *kgo.Client {
	t.Helper()
	return testkafka.Client(t, cl, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.RequestTimeoutOverhead(200*time.Millisecond), kgo.MetadataMinAge(10*time.Millisecond))
}

// createOn makes a topic whose partitions a broker leads.
func createOn(t *testing.T, cl testkafka.Cluster, topic string, partitions, broker int32) {
	t.Helper()
	rs, err := kadm.NewClient(quickClient(t, cl)).CreateTopics(t.Context(), partitions, 1, nil, topic)
	if err == nil {
		err = rs.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	for p := range partitions {
		cl.MoveLeader(t, topic, p, broker)
	}
}

// appendTo produces records to each partition, and returns the last one's end.
func appendTo(t *testing.T, cl testkafka.Cluster, topic string, partitions int32, n int) (end int64) {
	t.Helper()
	c := quickClient(t, cl)
	for p := range partitions {
		for range n {
			r := kgo.Record{Topic: topic, Partition: p, Value: []byte("v")}
			if err := c.ProduceSync(t.Context(), &r).FirstErr(); err != nil {
				t.Fatal(err)
			}
			end = r.Offset + 1
		}
	}
	return end
}
