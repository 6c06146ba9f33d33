package failover

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// benchClients are plain kgo, and this package's, on a fake.
func benchClients(b *testing.B, f func(*testing.B, testkafka.Cluster, Kafka), opts ...kgo.Opt) {
	for _, kind := range []string{"kgo", "failover", "replay"} {
		b.Run(kind, func(b *testing.B) {
			cl := testkafka.Fake(b, testkafka.Options{Fake: []kfake.Opt{kfake.DefaultNumPartitions(4)}})
			if _, err := kadm.NewClient(testkafka.Client(b, cl)).CreateTopic(b.Context(), 4, 1, nil, simTopic); err != nil {
				b.Fatal(err)
			}
			if kind == "kgo" {
				c, err := kgo.NewClient(append(cl.Opts(), opts...)...)
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				f(b, cl, c)
				return
			}
			cfg := Config{Clusters: []Cluster{{Name: "a", Opts: cl.Opts()}}, Alone: true, Opts: opts}
			if kind == "replay" {
				cfg.Replay = &Replay{}
			}
			c, err := NewClient(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			f(b, cl, c)
		})
	}
}

const benchBytes = 200

func BenchmarkProduce(b *testing.B) {
	benchClients(b, func(b *testing.B, _ testkafka.Cluster, c Kafka) {
		b.ReportAllocs()
		b.SetBytes(benchBytes)
		value := make([]byte, benchBytes)
		for b.Loop() {
			c.Produce(b.Context(), &kgo.Record{Topic: simTopic, Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		if err := c.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}, kgo.ProducerBatchCompression(kgo.NoCompression()))
}

func BenchmarkConsume(b *testing.B) {
	benchClients(b, func(b *testing.B, cl testkafka.Cluster, c Kafka) {
		p := testkafka.Client(b, cl)
		value := make([]byte, benchBytes)
		b.SetBytes(benchBytes)
		b.StopTimer()
		for range b.N {
			p.Produce(context.Background(), &kgo.Record{Topic: simTopic, Value: value}, nil)
		}
		if err := p.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		b.StartTimer()
		for n := 0; n < b.N; {
			fs := c.PollFetches(b.Context())
			if err := fs.Err0(); err != nil {
				b.Fatal(err)
			}
			n += fs.NumRecords()
		}
	}, kgo.ConsumeTopics(simTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
}
