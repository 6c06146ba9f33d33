package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/mirror"
)

// latency measures what the mirror adds where little is written: for each record, from when a
// consumer at the source has it to when one of the standby has it.
func (b *mirrorBench) latency() {
	const topic, prefix, warm = "m-latency", "idle.", 100
	records := intEnv("KAFKADR_BENCH_LATENCY", 2000)
	if !b.only.MatchString(topic) {
		return
	}
	b.create(topic, partitions)
	stop := b.live(topic, prefix)
	defer stop()
	near, far := newArrivals(b.bench, topic), newArrivals(b.far, prefix+topic)
	defer near.close()
	defer far.close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.addrs...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		b.t.Fatal(err)
	}
	defer cl.Close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	value := payloads(1000)[0]
	var produced []time.Duration
	for i := range uint64(records + warm) {
		<-tick.C
		at := time.Now()
		if err := cl.ProduceSync(b.t.Context(), &kgo.Record{Partition: int32(i % partitions), Key: binary.BigEndian.AppendUint64(nil, i), Value: value}).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
		// One at a time: the next is written when this one is on both sides.
		here, there := near.wait(i), far.wait(i)
		near.keep(there.Sub(here))
		produced = append(produced, here.Sub(at))
	}
	added := near.kept[warm:]
	b.printf("\nIdle, a record of 1 KB at a time, %d records, from a consumer at the source to one of the standby: p50 %.1f ms, p99 %.1f ms, most %.1f ms. From producing to a consumer at the source: p50 %.1f ms, p99 %.1f ms.\n",
		len(added), quantile(added, 0.5), quantile(added, 0.99), quantile(added, 1), quantile(produced[warm:], 0.5), quantile(produced[warm:], 0.99))
	stop()
	b.drop(topic)
	b.far.drop(prefix + topic)
}

// live runs a mirror until stop is called, and returns when the copy is there.
func (b *mirrorBench) live(topic, prefix string) (stop func()) {
	begun := make(chan struct{})
	m, err := mirror.New(mirror.Config{
		Source: []kgo.Opt{kgo.SeedBrokers(b.addrs...)}, Target: []kgo.Opt{kgo.SeedBrokers(b.far.addrs...)}, Topics: []string{topic}, Prefix: prefix, Name: "bench-live",
		Hooks: mirror.Hooks{OnTopic: func(string, string) { close(begun) }},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- m.Run(b.t.Context()) }()
	select {
	case <-begun:
	case err := <-ended:
		b.t.Fatalf("the mirror ended: %v", err)
	}
	return sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.t.Context()), time.Minute)
		defer cancel()
		if err := errors.Join(m.Stop(ctx), <-ended); err != nil {
			b.t.Errorf("the mirror ended: %v", err)
		}
	})
}

// arrivals notes when a consumer sees records.
type arrivals struct {
	b     *bench
	cl    *kgo.Client
	ended chan struct{}
	seen  chan arrival
	kept  []time.Duration
}

type arrival struct {
	i  uint64
	at time.Time
}

func newArrivals(b *bench, topic string) *arrivals {
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.addrs...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		b.t.Fatal(err)
	}
	a := &arrivals{b: b, cl: cl, ended: make(chan struct{}), seen: make(chan arrival, 10_000)}
	go func() {
		defer close(a.ended)
		for {
			fs := cl.PollFetches(context.Background())
			if fs.IsClientClosed() {
				return
			}
			now := time.Now()
			fs.EachRecord(func(r *kgo.Record) { a.seen <- arrival{binary.BigEndian.Uint64(r.Key), now} })
		}
	}()
	return a
}

// wait is when record i came.
func (a *arrivals) wait(i uint64) time.Time {
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for {
		select {
		case got := <-a.seen:
			if got.i == i {
				return got.at
			}
		case <-timeout.C:
			a.b.t.Fatalf("record %d hasn't come", i)
		}
	}
}

func (a *arrivals) keep(d time.Duration) { a.kept = append(a.kept, d) }

func (a *arrivals) close() {
	a.cl.Close()
	<-a.ended
}

// quantile is in milliseconds.
func quantile(ds []time.Duration, q float64) float64 {
	sorted := slices.Sorted(slices.Values(ds))
	return float64(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Microseconds()) / 1000
}
