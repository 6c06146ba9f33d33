package mm2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
)

// history is what a source partition holds, and what is to be known of its copy.
type history struct {
	topic     string
	partition int32
	at        []int64          // offsets of the records
	offset    map[string]int64 // by value
	start     int64
	end       int64
}

// lags are how far behind the end groups are.
var lags = map[string]int64{"end": 0, "behind-100": 100, "behind-1000": 1000, "behind-10000": 10_000}

// TestRealMirrorMaker lets the real MirrorMaker copy, once with each policy and each place of the
// offset syncs, kills it and the source, and compares with the Java client and with the truth.
func TestRealMirrorMaker(t *testing.T) {
	source, target := testkafka.Real(t, testkafka.Options{}), testkafka.Real(t, testkafka.Options{Heap: "768m"})
	histories := begin(t, source)
	mm := testkafka.StartMM2(t, source, target, testkafka.MM2Options{Heap: "1g", Properties: twoFlows(source)})

	identity := Config{SourceAlias: "A", Policy: Policy{Identity: true}}
	renamed := Config{SourceAlias: "E"}
	cl := testkafka.Client(t, target)
	for _, cfg := range []Config{identity, renamed} {
		awaitMirrored(t, cl, cfg, histories, func(h *history, _ int64) int64 { return h.start })
	}
	fill(t, source, histories)
	for _, cfg := range []Config{identity, renamed} {
		awaitMirrored(t, cl, cfg, histories, func(h *history, lag int64) int64 { return h.end - lag })
	}
	copyAgain(t, mm, cl, histories, identity, renamed)
	if now, peak := mm.RSS(t); mm.CPU(t) <= 0 || now <= 0 || peak < now {
		t.Errorf("MirrorMaker's CPU time %v, resident size %d MiB, at most %d", mm.CPU(t), now, peak)
	}
	mm.Kill(t)
	source.Kill(t, source.Brokers()[0])

	class := "org.apache.kafka.connect.mirror.IdentityReplicationPolicy"
	check(t, target, cl, identity, histories, map[string]string{"replication.policy.class": class}, "plain")
	check(t, target, cl, renamed, histories, nil, "plain", "late")
}

// twoFlows adds a second flow from the same source, under another alias, with the other policy and
// its offset syncs on the target.
func twoFlows(source testkafka.Cluster) map[string]string {
	p := map[string]string{
		"clusters":                          "A, B, E",
		"E.bootstrap.servers":               source.Addrs()[0],
		"E->B.enabled":                      "true",
		"E->B.replication.policy.class":     "org.apache.kafka.connect.mirror.DefaultReplicationPolicy",
		"E->B.offset-syncs.topic.location":  "target",
		"B.producer.buffer.memory":          "33554432",
		"emit.checkpoints.interval.seconds": "2",
		"B.offset.flush.interval.ms":        "2000",
		"refresh.groups.interval.seconds":   "5",
		"sync.group.offsets.enabled":        "false",
		"E.consumer.isolation.level":        "read_committed",
	}
	for _, pair := range []string{"B->E", "A->E", "E->A"} {
		p[pair+".enabled"], p[pair+".emit.heartbeats.enabled"] = "false", "false"
	}
	return p
}

// begin makes the source's topics, with a first record in each partition, and groups before it: so
// MirrorMaker's checkpoint tasks run, and keep offset syncs from the first one on, before there is
// more. One topic is copied one to one, one has a log that doesn't start at 0, one has
// transactions, and one will be copied partly twice.
func begin(t *testing.T, source testkafka.Cluster) []*history {
	t.Helper()
	adm := kadm.NewClient(testkafka.Client(t, source))
	for topic, partitions := range map[string]int32{"plain": 2, "late": 1, "tx": 1, "again": 1} {
		testkafka.Create(t, source, partitions, 1, nil, topic)
	}
	late := &history{topic: "late"}
	late.produce(t, source, 1500)
	if _, err := adm.DeleteRecords(t.Context(), kadm.Offsets{"late": {0: {Topic: "late", At: 1500}}}); err != nil {
		t.Fatal(err)
	}
	hs := []*history{late, {topic: "plain"}, {topic: "plain", partition: 1}, {topic: "tx"}, {topic: "again"}}
	for _, h := range hs {
		h.at, h.offset = nil, nil
		h.produce(t, source, 1)
		h.start = h.at[0]
	}
	commit(t, source, hs, func(h *history, _ int64) int64 { return h.start })
	return hs
}

// fill adds the rest, and moves the groups.
func fill(t *testing.T, source testkafka.Cluster, hs []*history) {
	t.Helper()
	for _, h := range hs {
		if h.topic == "tx" {
			h.transactions(t, source, 400, 30)
		} else {
			h.produce(t, source, 12_000)
		}
	}
	commit(t, source, hs, func(h *history, lag int64) int64 { return h.end - lag })
}

func commit(t *testing.T, source testkafka.Cluster, hs []*history, at func(h *history, lag int64) int64) {
	t.Helper()
	adm := kadm.NewClient(testkafka.Client(t, source))
	for group, lag := range lags {
		os := kadm.Offsets{}
		for _, h := range hs {
			os.Add(kadm.Offset{Topic: h.topic, Partition: h.partition, At: at(h, lag), Metadata: group})
		}
		if err := adm.CommitAllOffsets(t.Context(), group, os); err != nil {
			t.Fatal(err)
		}
	}
}

func (h *history) record(i int) *kgo.Record {
	return &kgo.Record{Topic: h.topic, Partition: h.partition, Value: fmt.Appendf(nil, "%s/%d record %d of the source", h.topic, h.partition, i)}
}

// note remembers where a record is.
func (h *history) note(r *kgo.Record) {
	if h.offset == nil {
		h.offset = map[string]int64{}
	}
	h.at = append(h.at, r.Offset)
	h.offset[string(r.Value)] = r.Offset
	h.end = r.Offset + 1
}

func (h *history) produce(t *testing.T, source testkafka.Cluster, n int) {
	t.Helper()
	cl := testkafka.Client(t, source, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	var rs []*kgo.Record
	for i := range n {
		rs = append(rs, h.record(len(h.at)+i))
	}
	if err := cl.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		h.note(r)
	}
}

// transactions are of size records each; every fifth is aborted.
func (h *history) transactions(t *testing.T, source testkafka.Cluster, n, size int) {
	t.Helper()
	cl := testkafka.Client(t, source, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("writer"))
	for i := range n {
		if err := cl.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		var rs []*kgo.Record
		for k := range size {
			rs = append(rs, h.record(1+i*size+k))
		}
		err := cl.ProduceSync(t.Context(), rs...).FirstErr()
		if err := errors.Join(err, cl.EndTransaction(t.Context(), kgo.TransactionEndTry(i%5 != 4))); err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			if i%5 != 4 {
				h.note(r)
			}
			h.end = r.Offset + 2 // the marker follows
		}
	}
}

// awaitMirrored waits until the last record of each history is noted as mirrored, and the groups
// have checkpoints of where they are; at the end, if they are there.
func awaitMirrored(t *testing.T, cl *kgo.Client, cfg Config, hs []*history, at func(h *history, lag int64) int64) {
	t.Helper()
	cfg.MaxScan = -1
	testkafka.Eventually(t, 90*time.Second, func(ctx context.Context) error {
		tr, err := Open(ctx, cl, cfg)
		if err != nil {
			return err
		}
		gs, err := tr.Groups(ctx)
		if err != nil || len(gs) != len(hs)*len(lags) {
			return fmt.Errorf("%s: %d checkpoints, %w", cfg.SourceAlias, len(gs), err)
		}
		for _, h := range hs {
			if last, _ := tr.Mirrored(h.topic, h.partition); last != h.at[len(h.at)-1] {
				return fmt.Errorf("%s/%d of %s: mirrored up to %d", h.topic, h.partition, cfg.SourceAlias, last)
			}
			where := place{cfg.Policy.Remote(cfg.SourceAlias, h.topic), h.partition}
			for _, g := range gs {
				end := tr.parts[where].end
				up := at(h, lags[g.Group])
				if (place{g.Topic, g.Partition}) == where && (g.Upstream != up || up == h.end && g.Checkpoint != end) {
					return fmt.Errorf("%s: %s/%d: the checkpoint is %d -> %d of %d, not of %d", g.Group, g.Topic, g.Partition, g.Upstream, g.Checkpoint, end, up)
				}
			}
		}
		return nil
	})
}

// copyAgain makes MirrorMaker copy the last 3000 records of a topic once more, as after a kill -9,
// by setting back what Connect has noted.
func copyAgain(t *testing.T, mm *testkafka.MM2, cl *kgo.Client, hs []*history, cfgs ...Config) {
	t.Helper()
	mm.Stop(t)
	h := hs[slices.IndexFunc(hs, func(h *history) bool { return h.topic == "again" })]
	adm := kadm.NewClient(cl)
	for _, cfg := range cfgs {
		key, value, err := ConnectOffset{Connector: "MirrorSourceConnector", Cluster: cfg.SourceAlias, Topic: h.topic, Offset: h.end - 3001}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: cfg.Policy.ConnectOffsets(cfg.SourceAlias), Key: key, Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	mm.Start(t)
	for _, cfg := range cfgs {
		topic := cfg.Policy.Remote(cfg.SourceAlias, h.topic)
		testkafka.Eventually(t, time.Minute, func(ctx context.Context) error {
			ends, err := adm.ListEndOffsets(ctx, topic)
			if err != nil {
				return err
			}
			if end, _ := ends.Lookup(topic, 0); end.Offset != h.end+3000 {
				return fmt.Errorf("%s ends at %d", topic, end.Offset)
			}
			return nil
		})
	}
}

// check compares ours with Java's and with the truth; of the topics named all answers have to be
// exact.
func check(t *testing.T, target testkafka.Cluster, cl *kgo.Client, cfg Config, hs []*history, properties map[string]string, exact ...string) {
	t.Helper()
	tr, err := Open(t.Context(), cl, cfg)
	if err != nil {
		t.Fatal(err)
	}
	gs, err := tr.Groups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.Skipped()) > 0 {
		t.Errorf("%s: skipped %v", cfg.SourceAlias, tr.Skipped()[0])
	}
	java := map[groupPlace]int64{}
	for _, o := range testkafka.MM2Offsets(t, target, cfg.SourceAlias, properties, "end", "behind-100", "behind-1000", "behind-10000") {
		java[groupPlace{o.Group, place{o.Topic, o.Partition}}] = o.Offset
	}
	if len(java) != len(gs) || len(gs) != len(hs)*len(lags) {
		t.Errorf("%s: Java has %d offsets, we %d", cfg.SourceAlias, len(java), len(gs))
	}
	for _, h := range hs {
		topic := cfg.Policy.Remote(cfg.SourceAlias, h.topic)
		where := copies(t, cl, h, topic)
		for _, g := range gs {
			if g.Topic != topic || g.Partition != h.partition {
				continue
			}
			truth, of := h.truth(g.Upstream, where), java[groupPlace{g.Group, place{topic, g.Partition}}]
			t.Logf("%s: %s %s/%d: %d is %d, we say %d (%s: %s), Java %d", cfg.SourceAlias, g.Group, topic, g.Partition, g.Upstream, truth, g.Offset, g.How, g.Evidence, of)
			switch {
			case g.Upstream != h.end-lags[g.Group] || g.Metadata != g.Group || g.SourceTopic != h.topic:
				t.Errorf("%+v: committed was %d", g, h.end-lags[g.Group])
			case g.Offset > truth:
				t.Errorf("%s %s/%d: %d skips: %d is the place of %d", g.Group, topic, g.Partition, g.Offset, truth, g.Upstream)
			case g.Offset < of || of != g.Checkpoint:
				t.Errorf("%s %s/%d: %d, checkpoint %d, Java says %d", g.Group, topic, g.Partition, g.Offset, g.Checkpoint, of)
			case slices.Contains(exact, h.topic) && (g.Offset != truth || g.How != offsets.HowExact):
				t.Errorf("%s %s/%d: %d (%s: %s), want exactly %d", g.Group, topic, g.Partition, g.Offset, g.How, g.Evidence, truth)
			}
		}
	}
}

// copies are where the records of a history are on the target, by source offset: the last of their
// places.
func copies(t *testing.T, cl *kgo.Client, h *history, topic string) map[int64]int64 {
	t.Helper()
	tg := newTarget(cl, Config{}.withDefaults())
	logs, err := tg.logs(t.Context(), []string{topic})
	if err != nil {
		t.Fatal(err)
	}
	where := map[int64]int64{}
	l := logs[place{topic, h.partition}]
	where[h.end] = l.end
	err = tg.read(t.Context(), span{topic: topic, partition: h.partition, from: l.start, to: l.end}, func(r *kgo.Record) {
		up, ok := h.offset[string(r.Value)]
		if !ok {
			t.Fatalf("%s/%d at %d: %q isn't the source's", topic, h.partition, r.Offset, r.Value)
		}
		where[up] = r.Offset
	})
	if err != nil {
		t.Fatal(err)
	}
	return where
}

// truth is the greatest offset of the target from which on nothing at or after up is missed.
func (h *history) truth(up int64, where map[int64]int64) int64 {
	least := where[h.end]
	for i := sort.Search(len(h.at), func(i int) bool { return h.at[i] >= up }); i < len(h.at); i++ {
		if at, ok := where[h.at[i]]; ok {
			least = min(least, at)
		}
	}
	return least
}
