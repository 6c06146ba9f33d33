package bench

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// payloads are JSON documents of about size bytes, compressible as such are.
func payloads(size int) [][]byte {
	rng := rand.New(rand.NewPCG(1, uint64(size)))
	out := make([][]byte, 4096)
	for i := range out {
		b := fmt.Appendf(nil, `{"id":%d,"at":"2026-01-02T03:04:05Z","amount":%d,"note":"`, rng.Uint64(), rng.IntN(1e6))
		for len(b) < size-2 {
			var word [8]byte
			for j := range word {
				word[j] = byte(rng.IntN(256))
			}
			b = hex.AppendEncode(b, word[:])
			b = append(b, " lorem ipsum dolor sit amet "...)
		}
		out[i] = append(b[:size-2], `"}`...)
	}
	return out
}

// produce writes mb megabytes of records of the given size; perBatch above 0
// makes batches of so many records. It returns the number of records.
func (b *bench) produce(topic string, size, mb int, codec kgo.CompressionCodec, perBatch int) int64 {
	b.t.Helper()
	opts := []kgo.Opt{
		kgo.SeedBrokers(b.addrs...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(900_000), kgo.ProducerLinger(20 * time.Millisecond), kgo.MaxBufferedRecords(200_000),
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		b.t.Fatal(err)
	}
	defer cl.Close()
	values, parts, n := payloads(size), b.partitionsOf(topic), int64(mb)*1e6/int64(size)
	failed := failer(b.t)
	flushEvery := int64(perBatch * parts)
	for i := range n {
		cl.Produce(b.t.Context(), &kgo.Record{Partition: int32(i % int64(parts)), Key: fmt.Appendf(nil, "k%d", i), Value: values[i%int64(len(values))]}, failed)
		if flushEvery > 0 && (i+1)%flushEvery == 0 {
			b.flush(cl)
		}
	}
	b.flush(cl)
	return n
}

// transactions writes records in committed transactions, perTxn records of each partition in each.
func (b *bench) transactions(topic string, mb, perTxn int) int64 {
	b.t.Helper()
	values, n := payloads(1000), int64(mb)*1e6/1000
	var wg sync.WaitGroup
	for p := range int32(partitions) {
		wg.Go(func() {
			cl, err := kgo.NewClient(kgo.SeedBrokers(b.addrs...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
				kgo.TransactionalID(fmt.Sprint(topic, "-", p)), kgo.ProducerLinger(time.Millisecond))
			if err != nil {
				b.t.Error(err)
				return
			}
			defer cl.Close()
			for i := int64(0); i < n/partitions; i += int64(perTxn) {
				if err := cl.BeginTransaction(); err != nil {
					b.t.Error(err)
					return
				}
				for j := range perTxn {
					cl.Produce(b.t.Context(), &kgo.Record{Partition: p, Value: values[(i+int64(j))%int64(len(values))]}, failer(b.t))
				}
				if err := cl.Flush(b.t.Context()); err != nil {
					b.t.Error(err)
					return
				}
				if err := cl.EndTransaction(b.t.Context(), kgo.TryCommit); err != nil {
					b.t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return n
}

// compacted writes every second key twice over, far apart, and waits until
// the cleaner has removed the first of each pair. It returns the records left.
func (b *bench) compacted(topic string, mb int) int64 {
	b.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.addrs...), kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(900_000), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(20*time.Millisecond))
	if err != nil {
		b.t.Fatal(err)
	}
	defer cl.Close()
	values, n := payloads(1000), int64(mb)*1e6/1000
	send := func(i int64, value []byte) {
		cl.Produce(b.t.Context(), &kgo.Record{Partition: int32((i / 2) % partitions), Key: fmt.Appendf(nil, "k%d", i), Value: value}, failer(b.t))
	}
	for i := range n {
		send(i, values[i%int64(len(values))])
	}
	for i := int64(0); i < n; i += 2 {
		send(i, []byte("x"))
	}
	b.flush(cl)
	// A last segment rolls the others out of the active one.
	for p := range int64(partitions) {
		for range 2 {
			for j := range int64(20) {
				cl.Produce(b.t.Context(), &kgo.Record{Partition: int32(p), Key: fmt.Appendf(nil, "roll-%d-%d", p, j), Value: make([]byte, 850_000)}, failer(b.t))
			}
		}
	}
	b.flush(cl)
	return b.waitCompacted(topic, n/2)
}

// waitCompacted reads the topic until at most a tenth above the expected records are left.
func (b *bench) waitCompacted(topic string, want int64) int64 {
	ctx, cancel := context.WithTimeout(b.t.Context(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		var n int64
		raw, err := kgo.NewClient(kgo.SeedBrokers(b.addrs...))
		if err != nil {
			b.t.Fatal(err)
		}
		err = countRaw(ctx, raw, topic, &n)
		raw.Close()
		if err != nil {
			b.t.Fatal(err)
		}
		if n < want+want+want/10 {
			return n
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("%s: the cleaner left %d records", topic, n)
		case <-tick.C:
		}
	}
}

func (b *bench) flush(cl *kgo.Client) {
	if err := cl.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) partitionsOf(topic string) int {
	for { // a new topic isn't in every broker's metadata at once
		td, err := b.adm.ListTopics(b.t.Context(), topic)
		if err != nil {
			b.t.Fatal(err)
		}
		if n := len(td[topic].Partitions); n > 0 {
			return n
		}
	}
}

func failer(t *testing.T) func(*kgo.Record, error) {
	return func(_ *kgo.Record, err error) {
		if err != nil {
			t.Error(err)
		}
	}
}
