package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// client is a producer of a real cluster.
func client(t testing.TB, c testkafka.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(c.Opts(), opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func create(t testing.TB, c testkafka.Cluster, partitions int32, replicas int16, configs map[string]string, topics ...string) {
	t.Helper()
	pointers := map[string]*string{}
	for k, v := range configs {
		pointers[k] = &v
	}
	testkafka.Create(t, c, partitions, replicas, pointers, topics...)
}

func endOf(t testing.TB, c testkafka.Cluster, topic string, partition int32) int64 {
	t.Helper()
	os, err := kadm.NewClient(client(t, c)).ListCommittedOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := os.Lookup(topic, partition)
	return o.Offset
}

func TestRealRun(t *testing.T) {
	c := testkafka.Real(t, testkafka.Options{Configs: map[string]string{
		"log.cleaner.backoff.ms": "500", "log.retention.check.interval.ms": "500", "log.initial.task.delay.ms": "500", "message.max.bytes": "10000000",
	}})
	create(t, c, 1, 1, nil, "txns", "large", "trimmed", "Orders", "orders")
	create(t, c, 1, 1, map[string]string{"cleanup.policy": "compact", "segment.ms": "500", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100", "max.compaction.lag.ms": "1000"}, "compacted")
	ctx := t.Context()

	for i := range 8 { // every other one aborted, and one left open
		cl := client(t, c, kgo.TransactionalID("t"), kgo.DefaultProduceTopic("txns"))
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for j := range 20 {
			if err := cl.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint(i, "-", j))).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if i < 7 {
			if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(i%2 == 0)); err != nil {
				t.Fatal(err)
			}
		}
		if i < 7 {
			cl.Close()
		}
	}
	plain := client(t, c, kgo.ProducerBatchMaxBytes(9_000_000), kgo.ProducerBatchCompression(kgo.NoCompression()))
	put := func(topic, key string, value []byte) {
		t.Helper()
		r := &kgo.Record{Topic: topic, Value: value}
		if key != "" {
			r.Key = []byte(key)
		}
		if err := plain.ProduceSync(ctx, r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	big := make([]byte, 8_000_000)
	for i := range big {
		big[i] = byte(rand.Uint32())
	}
	put("large", "", []byte("small"))
	put("large", "", big)
	put("large", "", []byte("small"))
	for i := range 30 {
		put("trimmed", "", fmt.Append(nil, i))
		put("compacted", fmt.Sprint(i%3), fmt.Append(nil, i))
		put("Orders", "", fmt.Append(nil, "upper", i))
		put("orders", "", fmt.Append(nil, "lower", i))
	}
	put("compacted", "0", nil)
	adm := kadm.NewClient(plain)
	var trim kadm.Offsets
	trim.AddOffset("trimmed", 0, 17, -1)
	if _, err := adm.DeleteRecords(ctx, trim); err != nil {
		t.Fatal(err)
	}
	testkafka.Eventually(t, time.Minute, func(ctx context.Context) error { // until the cleaner has been there
		put("compacted", "roll", fmt.Append(nil, time.Now()))
		n := len(sourceRecords(t, c.Opts(), "compacted", 0, endOf(t, c, "compacted", 0)))
		if end := endOf(t, c, "compacted", 0); int64(n) > end-25 {
			return fmt.Errorf("%d records of %d", n, end)
		}
		return nil
	})

	a := archive(t, bucket(t))
	var peak int64
	r, err := backup.Run(ctx, backup.Config{Source: c.Opts(), Archive: a, FetchBytes: 1 << 20, Hooks: backup.Hooks{OnProgress: func(s backup.Status) { peak = s.LSOLag }}})
	if err != nil {
		t.Fatal(err)
	}
	if peak < 0 {
		t.Error(peak)
	}
	t.Logf("%+v unread %v", r.Snapshot, r.Unread)
	s := open(t, a, r.Snapshot.ID)
	for _, topic := range []string{"txns", "large", "trimmed", "compacted", "Orders", "orders"} {
		p := stateOf(t, s, topic, 0)
		want := sourceRecords(t, c.Opts(), topic, 0, p.EndOffset)
		got := archived(t, s, topic, 0)
		if topic == "compacted" { // the cleaner may have gone on since: what is there now must have been there
			have := map[int64]rec{}
			for _, r := range got {
				have[r.Offset] = r
			}
			for _, r := range want {
				if have[r.Offset] != r {
					t.Errorf("compacted at %d: %+v", r.Offset, have[r.Offset])
				}
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" && len(diff) < 10000 {
			t.Errorf("%s: %s", topic, diff)
		} else if diff != "" {
			t.Errorf("%s differs: %d records, %d archived", topic, len(want), len(got))
		}
	}
	if p := stateOf(t, s, "txns", 0); p.EndOffset != endOf(t, c, "txns", 0) {
		t.Errorf("the cut of txns is %d", p.EndOffset)
	}
	verified(t, a, s)
}

func TestRealLeadersMove(t *testing.T) {
	c := testkafka.Real(t, testkafka.Options{Brokers: 3})
	create(t, c, 6, 3, map[string]string{"min.insync.replicas": "2"}, "orders")
	a := archive(t, bucket(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg := backup.FollowerConfig{
		Config: backup.Config{Source: c.Opts(), Archive: a},
		Flush:  200 * time.Millisecond, Every: 2 * time.Second, Discover: 200 * time.Millisecond,
	}
	f := follow(t, ctx, cfg)
	cl := client(t, c, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()))
	n := 0
	put := func(count int) {
		t.Helper()
		var rs []*kgo.Record
		for range count {
			rs = append(rs, &kgo.Record{Topic: "orders", Partition: int32(n % 6), Value: bytes.Repeat(fmt.Append(nil, n), 20)})
			n++
		}
		if err := cl.ProduceSync(ctx, rs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	put(600)
	for i, broker := range c.Brokers() {
		c.MoveLeader(t, "orders", int32(i), broker)
		put(100)
	}
	victim := c.Brokers()[1]
	c.Kill(t, victim)
	put(600)
	c.Start(t, victim)
	put(300)
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		if s := f.Status(); s.LagRecords != 0 || s.Committed.Records < int64(n) || s.Truncated != 0 {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	if err := f.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-f.result; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	f.result <- nil
	s, err := a.Latest(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(6) {
		end := endOf(t, c, "orders", p)
		if diff := cmp.Diff(sourceRecords(t, c.Opts(), "orders", p, end), archived(t, s, "orders", p)); diff != "" {
			t.Errorf("orders/%d: %s", p, diff)
		}
	}
	verified(t, a, s)
}
