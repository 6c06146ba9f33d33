package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// source is a cluster with a load of all kinds.
type source struct {
	testkafka.Cluster
	t      testing.TB
	cl     *kgo.Client
	adm    *kadm.Client
	prefix string // of topics and groups, where the cluster is shared
}

func newSource(t testing.TB, c testkafka.Cluster, prefix string) *source {
	t.Helper()
	s := &source{Cluster: c, t: t, prefix: prefix}
	s.cl = testkafka.Client(t, c, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	s.adm = kadm.NewClient(s.cl)
	return s
}

func (s *source) brokers() string { return s.Addrs()[0] }

func (s *source) create(topic string, partitions int32, configs map[string]string) string {
	s.t.Helper()
	forever := "-1" // the samples are old
	values := map[string]*string{"retention.ms": &forever}
	for k, v := range configs {
		values[k] = &v
	}
	testkafka.Create(s.t, s, partitions, 1, values, s.prefix+topic)
	return s.prefix + topic
}

// send produces n records to each partition of a topic.
func (s *source) send(topic string, partitions int32, n int) {
	s.t.Helper()
	var records []*kgo.Record
	for i := range n {
		for p := range partitions {
			records = append(records, sample(topic, p, i))
		}
	}
	if err := s.cl.ProduceSync(s.t.Context(), records...).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// sample is a record that differs in all that records differ in.
func sample(topic string, partition int32, i int) *kgo.Record {
	r := &kgo.Record{
		Topic: topic, Partition: partition,
		Key: fmt.Appendf(nil, "key-%d", i%50), Value: fmt.Appendf(nil, "value-%d-%d", partition, i),
		Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
	}
	switch i % 5 {
	case 1:
		r.Key = nil
	case 2:
		r.Headers = []kgo.RecordHeader{{Key: "h", Value: []byte("1")}, {Key: "h", Value: nil}, {Key: "bin", Value: []byte{0xff, 0x00}}}
	case 3:
		r.Value = []byte{0xde, 0xad, 0xbe, 0xef}
	}
	return r
}

// transactions produces n committed and n aborted transactions, in turn.
func (s *source) transactions(topic string, n int) {
	s.t.Helper()
	cl := testkafka.Client(s.t, s.Cluster, kgo.TransactionalID(topic+"-app"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 2 * n {
		if err := cl.BeginTransaction(); err != nil {
			s.t.Fatal(err)
		}
		for j := range 3 {
			if err := cl.ProduceSync(s.t.Context(), sample(topic, 0, 3*i+j)).FirstErr(); err != nil {
				s.t.Fatal(err)
			}
		}
		if err := cl.EndTransaction(s.t.Context(), kgo.TransactionEndTry(i%2 == 0)); err != nil {
			s.t.Fatal(err)
		}
	}
}

// commit commits an offset for a group that has no members.
func (s *source) commit(group, topic string, partition int32, offset int64) {
	s.t.Helper()
	var offsets kadm.Offsets
	offsets.AddOffset(topic, partition, offset, -1)
	if err := s.adm.CommitAllOffsets(s.t.Context(), group, offsets); err != nil {
		s.t.Fatal(err)
	}
}

// fill makes the topics orders (3 partitions), payments (transactions) and
// empty, and the group billing; it returns how many records consumers see.
func (s *source) fill(n int) (records int) {
	s.t.Helper()
	orders := s.create("orders", 3, nil)
	payments := s.create("payments", 1, nil)
	s.create("empty", 2, nil)
	s.send(orders, 3, n)
	s.transactions(payments, 5)
	s.commit(s.prefix+"billing", orders, 0, int64(n/2))
	s.commit(s.prefix+"billing", orders, 1, int64(n))
	return 3*n + 15
}

// read returns all records of topics that a consumer sees, by partition.
func read(t testing.TB, c testkafka.Cluster, level kgo.IsolationLevel, topics ...string) map[string][]string {
	t.Helper()
	cl := testkafka.Client(t, c, kgo.ConsumeTopics(topics...), kgo.FetchIsolationLevel(level), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	missing := unread(ctx, t, cl, topics)
	all := make(map[string][]string)
	for len(missing) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("read: %v; missing %v", err, missing)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			p := fmt.Sprintf("%s/%d", r.Topic, r.Partition)
			if !r.Attrs.IsControl() {
				all[p] = append(all[p], show(r))
			}
			if r.Offset+1 >= missing[p] {
				delete(missing, p)
			}
		})
	}
	return all
}

// unread are the end offsets of partitions that hold something.
func unread(ctx context.Context, t testing.TB, cl *kgo.Client, topics []string) map[string]int64 {
	t.Helper()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topics...)
	if err != nil {
		t.Fatal(err)
	}
	starts, err := kadm.NewClient(cl).ListStartOffsets(ctx, topics...)
	if err != nil {
		t.Fatal(err)
	}
	missing := make(map[string]int64)
	ends.Each(func(o kadm.ListedOffset) {
		if s, _ := starts.Lookup(o.Topic, o.Partition); s.Offset < o.Offset {
			missing[fmt.Sprintf("%s/%d", o.Topic, o.Partition)] = o.Offset
		}
	})
	return missing
}

// show is all that a consumer sees of a record but its partition.
func show(r *kgo.Record) string {
	return fmt.Sprintf("%d %d %s %s %q", r.Offset, r.Timestamp.UnixMilli(), quoted(r.Key), quoted(r.Value), r.Headers)
}

func quoted(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

// wantSame compares two clusters: the target at either isolation level is the
// source at read_committed.
func wantSame(t testing.TB, from, to testkafka.Cluster, topics ...string) {
	t.Helper()
	wantSamePrefixed(t, from, to, "", topics...)
}

// wantSamePrefixed is wantSame for topics that have a prefix on the target.
func wantSamePrefixed(t testing.TB, from, to testkafka.Cluster, prefix string, topics ...string) {
	t.Helper()
	want := make(map[string][]string)
	for p, records := range read(t, from, kgo.ReadCommitted(), topics...) {
		want[prefix+p] = records
	}
	if len(want) == 0 {
		t.Fatal("there is nothing to compare")
	}
	var prefixed []string
	for _, topic := range topics {
		prefixed = append(prefixed, prefix+topic)
	}
	for name, level := range map[string]kgo.IsolationLevel{"read_committed": kgo.ReadCommitted(), "read_uncommitted": kgo.ReadUncommitted()} {
		if d := firstDifference(want, read(t, to, level, prefixed...)); d != "" {
			t.Fatalf("the target at %s differs: %s", name, d)
		}
	}
}

// firstDifference is the first place where two readings differ.
func firstDifference(want, got map[string][]string) string {
	for p := range got {
		if want[p] == nil {
			return p + " is not on the source"
		}
	}
	for p, records := range want {
		for i, r := range records {
			if i >= len(got[p]) {
				return fmt.Sprintf("%s: %d records, want %d; lacks %s", p, len(got[p]), len(records), r)
			}
			if got[p][i] != r {
				return fmt.Sprintf("%s: record %d is %s, want %s", p, i, got[p][i], r)
			}
		}
		if len(got[p]) > len(records) {
			return fmt.Sprintf("%s: %d records, want %d; has also %s", p, len(got[p]), len(records), got[p][len(records)])
		}
	}
	return ""
}
