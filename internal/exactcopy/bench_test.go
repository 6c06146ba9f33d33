package exactcopy

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// BenchmarkCopy compares the copier with its limit, plain produce requests of prebuilt batches,
// five in flight, on a real Kafka with eight partitions. It runs where KAFKADR_BENCH is set.
func BenchmarkCopy(b *testing.B) {
	if os.Getenv("KAFKADR_BENCH") == "" {
		b.Skip("set KAFKADR_BENCH=1")
	}
	kafka := testkafka.Real(b, testkafka.Options{Heap: "1g", JVM: []string{"-XX:+UseG1GC"}})
	tg := connect(b, kafka, Config{Quiet: time.Second})
	for _, c := range []struct {
		name          string
		codec         kgo.CompressionCodec
		records, size int // of a batch, of a record
		total         int
	}{
		{"warm", kgo.ZstdCompression(), 1000, 1000, 512 << 20},
		{"1KB-1MB-none", kgo.NoCompression(), 1000, 1000, 1 << 30},
		{"1KB-1MB-zstd", kgo.ZstdCompression(), 1000, 1000, 1 << 30},
		{"1KB-16KB-none", kgo.NoCompression(), 16, 1000, 256 << 20},
		{"1KB-16KB-zstd", kgo.ZstdCompression(), 16, 1000, 256 << 20},
		{"100B-10-none", kgo.NoCompression(), 10, 100, 32 << 20},
		{"100B-10-zstd", kgo.ZstdCompression(), 10, 100, 32 << 20},
	} {
		b.Run(c.name, func(b *testing.B) {
			prebuilt := prebuild(b, c.codec, c.records, c.size)
			rounds := c.total / (c.records * c.size) / 8
			for i := range b.N {
				name := fmt.Sprintf("%s-%d-%d-%d", c.name, b.N, i, time.Now().UnixNano())
				before := tg.copier.joiner.joins.Load()
				var lw, lc, cw, cc time.Duration
				for turn := range 2 {
					if (turn+i)%2 == 0 {
						names := tg.topic(name+"-limit", 8, 1, nil)
						lw, lc = measure(func() { limit(tg, names, prebuilt, rounds) })
					} else {
						names := tg.topic(name+"-copy", 8, 1, nil)
						cw, cc = measure(func() { copyAll(tg, names, prebuilt, rounds) })
					}
				}
				fmt.Printf("%s: limit %v, %v CPU; copy %v, %v CPU; %d joins\n", c.name, lw, lc, cw, cc, tg.copier.joiner.joins.Load()-before)
				tg.cluster.Admin().DeleteTopics(b.Context(), name+"-limit", name+"-copy")
				b.ReportMetric(lw.Seconds(), "limit-s")
				b.ReportMetric(cw.Seconds(), "copy-s")
				b.ReportMetric(lw.Seconds()/cw.Seconds(), "wall-ratio")
				b.ReportMetric(cc.Seconds()/lc.Seconds(), "cpu-ratio")
				b.ReportMetric(float64(tg.copier.joiner.joins.Load()-before), "joins")
			}
		})
	}
}

// BenchmarkTurns measures batches of 50 records and holes of one in turn, as an exactly-once source
// has them, and single holes.
func BenchmarkTurns(b *testing.B) {
	if os.Getenv("KAFKADR_BENCH") == "" {
		b.Skip("set KAFKADR_BENCH=1")
	}
	tg := connect(b, testkafka.Real(b, testkafka.Options{Heap: "1g", JVM: []string{"-XX:+UseG1GC"}}), Config{})
	prebuilt := prebuild(b, kgo.NoCompression(), 50, 100)
	for _, partitions := range []int32{1, 8, 8} {
		b.Run(fmt.Sprint(partitions), func(b *testing.B) {
			names := tg.topic(fmt.Sprintf("turns-%d-%d", partitions, time.Now().UnixNano()), partitions, 1, nil)
			start := time.Now()
			each(names, func(name rawkafka.Partition) {
				p := tg.opened(tg.copier, name)
				own := append([]byte(nil), prebuilt[0]...)
				for range b.N {
					binary.BigEndian.PutUint64(own, uint64(p.Position()))
					batch, err := batch.Parse(own)
					tg.must(err)
					tg.must(p.Append(b.Context(), batch))
					tg.must(p.Hole(b.Context(), 1))
				}
			})
			b.ReportMetric(float64(b.N)*float64(partitions)/time.Since(start).Seconds(), "turns/s")
		})
	}
}

func measure(f func()) (wall, cpu time.Duration) {
	start, used := time.Now(), cpuTime()
	f()
	return time.Since(start), cpuTime() - used
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// prebuild makes eight batches of JSON.
func prebuild(b *testing.B, codec kgo.CompressionCodec, records, size int) [][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	var out [][]byte
	for range 8 {
		var rs []*kgo.Record
		for range records {
			v := []byte(`{"id":`)
			for len(v) < size-2 {
				v = fmt.Appendf(v, `"%x","amount":%d,"currency":"EUR","state":"booked",`, rnd.Uint64(), rnd.IntN(100000))
			}
			rs = append(rs, &kgo.Record{Value: v[:size], Timestamp: time.UnixMilli(1_700_000_000_000)})
		}
		raw, err := batch.Append(nil, 0, codec, rs...)
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, raw)
	}
	return out
}

func each(names []rawkafka.Partition, f func(rawkafka.Partition)) {
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() { f(name) })
	}
	wg.Wait()
}

func copyAll(tg *target, names []rawkafka.Partition, prebuilt [][]byte, rounds int) {
	each(names, func(name rawkafka.Partition) {
		p := tg.opened(tg.copier, name)
		defer p.Close()
		var own [][]byte
		for _, raw := range prebuilt {
			own = append(own, append([]byte(nil), raw...))
		}
		for i := range rounds {
			raw := own[i%len(own)]
			binary.BigEndian.PutUint64(raw, uint64(p.Position()))
			batch, err := batch.Parse(raw)
			if err == nil {
				err = p.Append(tg.Context(), batch)
			}
			if err != nil {
				tg.Error(err)
				return
			}
		}
		if err := p.Flush(tg.Context(), true); err != nil {
			tg.Error(err)
		}
	})
}

// limit produces the same, two partitions a request, with as little as possible around it.
func limit(tg *target, names []rawkafka.Partition, prebuilt [][]byte, rounds int) {
	var ready [][]byte
	for _, raw := range prebuilt {
		batch, err := batch.Parse(raw)
		tg.must(err)
		ready = append(ready, batch.ForProduce(nil, -1, -1, -1))
	}
	leader, _, err := tg.cluster.Leader(tg.Context(), names[0])
	tg.must(err)
	type turn struct {
		name rawkafka.Partition
		left int
	}
	free := make(chan turn, len(names))
	for _, name := range names {
		free <- turn{name, rounds}
	}
	var left sync.WaitGroup
	left.Add(len(names))
	work := func(first turn) {
		turns := []turn{first}
		select {
		case second, ok := <-free:
			if ok {
				turns = append(turns, second)
			}
		default:
		}
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = -1, 30_000
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic, rt.TopicID = first.name.Topic, first.name.TopicID
		for _, t := range turns {
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition, rp.Records = t.name.Partition, ready[t.left%len(ready)]
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		resp, err := tg.cluster.Client().Broker(int(leader)).Request(tg.Context(), req)
		if err != nil {
			tg.Error(err)
		} else {
			for _, p := range resp.(*kmsg.ProduceResponse).Topics[0].Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					tg.Error(err)
				}
			}
		}
		for _, t := range turns {
			if t.left--; t.left > 0 {
				free <- t
			} else {
				left.Done()
			}
		}
	}
	for range 5 {
		go func() {
			for t := range free {
				work(t)
			}
		}()
	}
	left.Wait()
	close(free)
}
