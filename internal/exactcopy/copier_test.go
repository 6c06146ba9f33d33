package exactcopy

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// onBoth runs a test on kfake and on a real Kafka, which tests share.
func onBoth(t *testing.T, o testkafka.Options, f func(*testing.T, testkafka.Cluster)) {
	t.Run("kfake", func(t *testing.T) { f(t, testkafka.Fake(t, o)) })
	t.Run("kafka", func(t *testing.T) { f(t, pool.Real(t, o)) })
}

func TestCopy(t *testing.T) {
	onBoth(t, testkafka.Options{}, func(t *testing.T, kafka testkafka.Cluster) {
		tg := connect(t, kafka, Config{})
		for _, name := range tg.topic("copy", 3, 1, nil) {
			p := tg.opened(tg.copier, name)
			var kinds []bool
			rnd := rand.New(rand.NewPCG(1, uint64(name.Partition)))
			for range 60 {
				position := p.Position()
				n := 1 + rnd.IntN(20)
				switch rnd.IntN(4) {
				case 0:
					tg.must(p.Hole(t.Context(), int64(n)))
					kinds = append(kinds, make([]bool, n)...)
				case 1: // another process
					tg.must(p.Flush(t.Context(), rnd.IntN(2) == 0))
					p = tg.opened(tg.newCopier(Config{Quiet: 1}), name)
				default:
					b := makeBatch(t, position, n, []kgo.CompressionCodec{kgo.NoCompression(), kgo.ZstdCompression()}[rnd.IntN(2)])
					if rnd.IntN(2) == 0 {
						tg.must(p.Give(t.Context(), b))
					} else {
						before := bytes.Clone(b.Raw())
						tg.must(p.Append(t.Context(), b))
						if !bytes.Equal(before, b.Raw()) {
							t.Fatal("Append has changed the batch")
						}
					}
					for range n {
						kinds = append(kinds, true)
					}
				}
				if p.Position() != int64(len(kinds)) {
					t.Fatalf("position %d, want %d", p.Position(), len(kinds))
				}
			}
			tg.must(p.Flush(t.Context(), true))
			tg.check(name, kinds)
		}
	})
}

func TestFill(t *testing.T) {
	onBoth(t, testkafka.Options{}, func(t *testing.T, kafka testkafka.Cluster) {
		tg := connect(t, kafka, Config{})
		small := "1000"
		for i, configs := range []map[string]*string{nil, {"max.message.bytes": &small}} {
			name := tg.topic([]string{"fill", "small"}[i], 1, 1, configs)[0]
			p := tg.opened(tg.copier, name)
			n := []int64{2_300_001, 12345}[i]
			tg.must(p.Fill(t.Context(), n))
			tg.must(p.Append(t.Context(), makeBatch(t, n, 3, kgo.NoCompression())))
			tg.must(p.Hole(t.Context(), 2))
			tg.must(p.Flush(t.Context(), true))
			if end, _ := tg.ends(name); end != n+5 {
				t.Errorf("true end %d, want %d", end, n+5)
			}
		}
	})
}
