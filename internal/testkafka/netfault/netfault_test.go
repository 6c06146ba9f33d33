package netfault

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// world is a cluster of three, a network before it, and a client behind that.
type world struct {
	*testing.T
	kafka  testkafka.Cluster
	net    *Net
	client *kgo.Client
}

func newWorld(t *testing.T) *world {
	t.Helper()
	kafka := testkafka.Fake(t, testkafka.Options{Brokers: 3, Fake: []kfake.Opt{kfake.AllowAutoTopicCreation()}})
	w := &world{T: t, kafka: kafka, net: New(t, kafka)}
	w.client = w.newClient()
	w.answers()
	return w
}

func (w *world) newClient() *kgo.Client {
	w.Helper()
	cl, err := kgo.NewClient(append(w.net.Opts(), kgo.RetryTimeout(10*time.Second))...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(cl.Close)
	return cl
}

// ask asks a broker, once.
func (w *world) ask(cl *kgo.Client, broker int32, within time.Duration) error {
	ctx, cancel := context.WithTimeout(w.Context(), within)
	defer cancel()
	_, err := cl.Broker(int(broker)).Request(ctx, kmsg.NewPtrMetadataRequest())
	return err
}

// answers fails the test unless every broker answers.
func (w *world) answers() {
	w.Helper()
	for _, b := range w.kafka.Brokers() {
		testkafka.Eventually(w, 10*time.Second, func(context.Context) error { return w.ask(w.client, b, 10*time.Second) })
	}
}

func (w *world) silent(cl *kgo.Client, broker int32) {
	w.Helper()
	if err := w.ask(cl, broker, 300*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		w.Errorf("broker %d: %v, want silence", broker, err)
	}
}

// TestBlackhole: nothing comes from the brokers that it is for, on open connections and new ones,
// until it is healed; the others answer.
func TestBlackhole(t *testing.T) {
	for _, way := range []Way{Both, ToBroker, FromBroker} {
		t.Run(fmt.Sprint(way), func(t *testing.T) {
			w := newWorld(t)
			fresh := w.newClient()
			if err := w.ask(fresh, 0, 10*time.Second); err != nil { // it knows the brokers
				t.Fatal(err)
			}
			w.net.Blackhole(t, way, 1)
			w.silent(w.client, 1)
			w.silent(fresh, 1)
			for _, b := range []int32{0, 2} {
				if err := w.ask(w.client, b, 10*time.Second); err != nil {
					t.Errorf("broker %d: %v", b, err)
				}
			}
			w.net.Heal(t)
			w.answers()
		})
	}
}

// TestWay: what is swallowed on the way to a broker isn't done; what is swallowed on the way back
// is.
func TestWay(t *testing.T) {
	for way, want := range map[Way]bool{ToBroker: false, FromBroker: true} {
		w := newWorld(t)
		w.net.Blackhole(t, way)
		req := kmsg.NewPtrMetadataRequest() // makes the topic
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr("t")
		req.Topics, req.AllowAutoTopicCreation = append(req.Topics, topic), true
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := w.client.Broker(0).Request(ctx, req); err == nil {
			t.Errorf("%v: an answer came", way)
		}
		cancel()
		topics, err := kadm.NewClient(testkafka.Client(t, w.kafka)).ListTopics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if topics.Has("t") != want {
			t.Errorf("%v: done: %t, want %t", way, !want, want)
		}
	}
}

// TestCut: connections end and new ones are refused, until it is healed; a reset ends them once.
func TestCut(t *testing.T) {
	w := newWorld(t)
	w.net.Cut(t, 2)
	if err := w.ask(w.client, 2, 10*time.Second); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("broker 2: %v, want it refused", err)
	}
	if err := w.ask(w.client, 0, 10*time.Second); err != nil {
		t.Errorf("broker 0: %v", err)
	}
	w.net.Heal(t)
	w.answers()
	w.net.Reset(t)
	w.answers()
}

// TestSlow: answers take the time.
func TestSlow(t *testing.T) {
	w := newWorld(t)
	w.net.Slow(t, Both, Slowness{Latency: 100 * time.Millisecond, KBPerSecond: 1000})
	start := time.Now()
	if err := w.ask(w.client, 0, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < 200*time.Millisecond {
		t.Errorf("an answer took %v", d)
	}
	w.net.Heal(t)
	w.answers()
}

// TestLossy: through a network that loses connections all the time, a producer that tries again
// brings everything, once.
func TestLossy(t *testing.T) {
	w := newWorld(t)
	inside := kadm.NewClient(testkafka.Client(t, w.kafka))
	if _, err := inside.CreateTopic(t.Context(), 1, 3, nil, "t"); err != nil {
		t.Fatal(err)
	}
	w.net.Lossy(t, Both, 1)
	n := int64(0)
	for w.net.resets.Load() < 10 {
		if err := w.client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: make([]byte, 3000+n%5000)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		n++
	}
	w.net.Heal(t)
	w.answers()
	ends, err := inside.ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := ends.Lookup("t", 0); o.Offset != n {
		t.Errorf("%d records, want %d", o.Offset, n)
	}
}

// TestDial: nothing goes round the network.
func TestDial(t *testing.T) {
	w := newWorld(t)
	if _, err := Dial(w.net.Via())(t.Context(), "tcp", "127.0.0.1:1"); err == nil {
		t.Error("an unknown address was dialled")
	}
}
