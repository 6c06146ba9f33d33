package backup_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/filestore"
)

func TestRealMemory(t *testing.T) {
	if os.Getenv("KAFKADR_LONG") == "" {
		t.Skip("set KAFKADR_LONG=1 (make test-long)")
	}
	c := testkafka.Real(t, testkafka.Options{})
	for _, shape := range []struct {
		partitions int32
		bytes      int
		limit      int64
	}{{8, 1 << 30, 200}, {1000, 1 << 30, 300}} {
		topic := fmt.Sprint("orders-", shape.partitions)
		create(t, c, shape.partitions, 1, nil, topic)
		fill(t, c, topic, shape.partitions, shape.bytes)
		bucket, err := filestore.OpenBucket(t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := storage.Open(t.Context(), bucket, storage.Config{})
		if err != nil {
			t.Fatal(err)
		}
		debug.FreeOSMemory()
		testkafka.ResetRSS(t)
		r, err := backup.Run(t.Context(), backup.Config{Source: c.Opts(), Archive: a, Topics: []string{topic}})
		if err != nil {
			t.Fatal(err)
		}
		peak := testkafka.PeakRSS(t)
		t.Logf("%d partitions: %d MB in %v, peak %d MiB", shape.partitions, r.Bytes>>20, r.Duration, peak)
		if peak > shape.limit {
			t.Errorf("peak %d MiB, limit %d", peak, shape.limit)
		}
		_ = bucket.Close()
	}
}

// fill writes records of 1 KB.
func fill(t testing.TB, c testkafka.Cluster, topic string, partitions int32, total int) {
	t.Helper()
	cl := client(t, c, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.DefaultProduceTopic(topic))
	value := make([]byte, 1000)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	for i := range total / len(value) {
		cl.Produce(t.Context(), &kgo.Record{Partition: int32(i) / 1000 % partitions, Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	cl.Close()
}
