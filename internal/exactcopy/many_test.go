package exactcopy

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestMany: ten thousand open partitions (a thousand, but for long runs), each of which has been
// written to, cost less than 2 KB each, and are opened by few goroutines in little time.
func TestMany(t *testing.T) {
	count := int32(1000)
	if os.Getenv("KAFKADR_LONG") != "" {
		count = 10_000
	}
	many(t, testkafka.Fake(t, testkafka.Options{}), count)
}

// TestManyReal is TestMany on a real broker, where KAFKADR_LONG is set.
func TestManyReal(t *testing.T) {
	if os.Getenv("KAFKADR_LONG") == "" {
		t.Skip("set KAFKADR_LONG=1")
	}
	many(t, testkafka.Real(t, testkafka.Options{Heap: "1g"}), 10_000)
}

func many(t *testing.T, kafka testkafka.Cluster, count int32) {
	tg := connect(t, kafka, Config{})
	var names []rawkafka.Partition
	for i := range count / 1000 { // brokers make no more than 10 000 in a request
		names = append(names, tg.topic(fmt.Sprint("many", i), 1000, 1, nil)...)
	}
	first := openEach(tg, tg.copier, names)
	for _, p := range first {
		tg.appendAll(p, 1, 3)
	}
	for _, p := range first {
		tg.must(p.Flush(t.Context(), true))
		p.Close()
	}
	c := tg.newCopier(Config{})
	before := heap()
	start := time.Now()
	ps := openEach(tg, c, names)
	took := time.Since(start)
	for _, p := range ps {
		tg.appendAll(p, 1, 3)
	}
	for _, p := range ps {
		tg.must(p.Flush(t.Context(), true))
		if p.Position() != 6 {
			t.Fatalf("%v at %d", p.name, p.Position())
		}
	}
	c.bufs.mu.Lock()
	c.bufs.free = [classes][][]byte{}
	c.bufs.mu.Unlock()
	each := (heap() - before) / int64(count)
	t.Logf("%d partitions opened in %v, %d bytes each", count, took, each)
	if each > 2048 { // of which kfake keeps some
		t.Errorf("an idle partition costs %d bytes", each)
	}
	runtime.KeepAlive(ps)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// openEach opens partitions, 64 at a time.
func openEach(t *target, c *Copier, names []rawkafka.Partition) []*Partition {
	ps := make([]*Partition, len(names))
	next := make(chan int)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := range next {
				var err error
				if ps[i], err = c.Open(t.Context(), names[i]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	wg.Wait()
	return ps
}
