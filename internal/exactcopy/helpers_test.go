package exactcopy

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// target is a cluster with a copier on it.
type target struct {
	testing.TB
	kafka   testkafka.Cluster
	cluster *rawkafka.Cluster
	copier  *Copier
}

func connect(t testing.TB, kafka testkafka.Cluster, cfg Config, opts ...kgo.Opt) *target {
	t.Helper()
	cluster, err := rawkafka.Connect(t.Context(), append(kafka.Opts(), opts...), rawkafka.Config{RequestTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	tg := &target{TB: t, kafka: kafka, cluster: cluster}
	tg.copier = tg.newCopier(cfg)
	return tg
}

func (t *target) newCopier(cfg Config) *Copier {
	t.Helper()
	cfg.Cluster = t.cluster
	if cfg.TransactionalID == "" {
		cfg.TransactionalID = "kafkadr-test"
	}
	c, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// topic creates a topic and returns its partitions.
func (t *target) topic(name string, partitions int32, replicas int16, configs map[string]*string) []rawkafka.Partition {
	t.Helper()
	forever := "-1"
	all := map[string]*string{"retention.ms": &forever}
	maps.Copy(all, configs)
	r := testkafka.Create(t, t.kafka, partitions, replicas, all, name)[name]
	var ps []rawkafka.Partition
	for i := range partitions {
		ps = append(ps, rawkafka.Partition{Topic: name, TopicID: kadm.TopicID(r.ID), Partition: i})
	}
	for try := 1; ; try++ { // until the leaders know
		got, err := t.cluster.ListOffsets(t.Context(), ps, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug)
		t.must(err)
		ready := true
		for _, o := range got {
			ready = ready && o.Err == nil
		}
		if ready {
			return ps
		}
		t.must(rawkafka.Sleep(t.Context(), rawkafka.Backoff(try)))
	}
}

func (t *target) opened(c *Copier, name rawkafka.Partition) *Partition {
	t.Helper()
	p, err := c.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (t *target) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// makeBatch makes n records from base on; a record's value says its offset.
func makeBatch(t testing.TB, base int64, n int, codec kgo.CompressionCodec) batch.Batch {
	t.Helper()
	var rs []*kgo.Record
	for i := range n {
		rs = append(rs, &kgo.Record{Key: []byte("k"), Value: fmt.Appendf(nil, "record %d", base+int64(i)), Timestamp: time.UnixMilli(1_700_000_000_000 + base + int64(i))})
	}
	raw, err := batch.Append(nil, base, codec, rs...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := batch.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ends are the true end and the high watermark.
func (t *target) ends(name rawkafka.Partition) (trueEnd, watermark int64) {
	t.Helper()
	for _, replica := range []int32{rawkafka.Debug, rawkafka.Consumer} {
		got, err := t.cluster.ListOffsets(t.Context(), []rawkafka.Partition{name}, rawkafka.Latest, rawkafka.ReadUncommitted, replica)
		if err == nil {
			err = got[name].Err
		}
		t.must(err)
		trueEnd, watermark = watermark, got[name].Offset
	}
	return trueEnd, watermark
}

// read reads a partition's visible records up to end, by offset, at read_uncommitted: filler and
// aborted records would show.
func (t *target) read(name rawkafka.Partition, end int64) map[int64]string {
	t.Helper()
	cl := testkafka.Client(t, t.kafka, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{name.Topic: {name.Partition: kgo.NewOffset().AtStart()}}), kgo.KeepControlRecords())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := make(map[int64]string)
	for next := int64(0); next < end; {
		fs := cl.PollFetches(ctx)
		t.must(fs.Err())
		fs.EachRecord(func(r *kgo.Record) {
			if next = r.Offset + 1; !r.Attrs.IsControl() {
				got[r.Offset] = string(r.Value)
			}
		})
	}
	return got
}

// check compares a partition with what was copied: kinds has, for each offset, whether a record
// must be there.
func (t *target) check(name rawkafka.Partition, kinds []bool) {
	t.Helper()
	end, _ := t.ends(name)
	if end != int64(len(kinds)) {
		t.Errorf("%v: true end %d, want %d", name, end, len(kinds))
	}
	got := t.read(name, end)
	for o, record := range kinds {
		want := ""
		if record {
			want = fmt.Sprintf("record %d", o)
		}
		if got[int64(o)] != want {
			t.Fatalf("%v: offset %d holds %q, want %q", name, o, got[int64(o)], want)
		}
	}
}
