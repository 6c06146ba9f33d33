package testkafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Hard says which hard topics to make, and how large. The zero value makes all kinds, small, with
// the same records each time.
type Hard struct {
	// Seed varies the records.
	Seed uint64
	// Records is about how many an ordinary topic gets. Default 300.
	Records int
	// Only are the kinds to make (a [Topic]'s Kind). Default: all.
	Only []string
	// Without are kinds to leave out.
	Without []string
	// ManyPartitions is the number of partitions of the kind "many". Default 100; 1000 on a real
	// Kafka where KAFKADR_LONG is set.
	ManyPartitions int32
}

// Topic is one that [Load] made.
type Topic struct {
	// Name is the topic's.
	Name string
	// Kind is what is hard about it; several topics may share one.
	Kind string
	// Partitions is their number.
	Partitions int32
	// Configs are those set at creation.
	Configs map[string]string
	// Open says that a transaction is left open in it: its last stable offset stays below its end.
	Open bool
}

// Names are the topics' names.
func Names(topics []Topic) []string {
	var names []string
	for _, t := range topics {
		names = append(names, t.Name)
	}
	return names
}

// kinds are the kinds of topics, in the order in which they are made.
var kinds = []struct {
	name string
	load func(*loader)
}{
	{"codecs", (*loader).codecs},
	{"batches", (*loader).batches},
	{"headers", (*loader).headers},
	{"times", (*loader).times},
	{"appendtime", (*loader).appendTime},
	{"large", (*loader).large},
	{"transactions", (*loader).transactions},
	{"open", (*loader).open},
	{"compacted", (*loader).compacted},
	{"schemas", (*loader).schemas},
	{"retention", (*loader).retention},
	{"deleted", (*loader).deleted},
	{"empty", (*loader).empty},
	{"case", (*loader).case_},
	{"many", (*loader).many},
}

// Kinds are the kinds of topics that [Load] makes:
//
//   - codecs: batches of every codec in one log
//   - batches: of 1 and of thousands of records; null and empty keys and values; tombstones
//   - headers: none, many, doubled, null and empty values, empty and non-UTF-8 keys
//   - times: timestamps 0 and -1, out of order, ahead of the clock
//   - appendtime: LogAppendTime (a real Kafka only)
//   - large: records of 5 MB
//   - transactions: interleaved, committed and aborted, among records without one
//   - open: as transactions, and one is left open
//   - compacted: by the cleaner, with holes first and last, inside a batch, whole batches, batches kept empty (kept empty on a real Kafka only)
//   - schemas: a compacted topic called _schemas
//   - retention: the log start moved by retention
//   - deleted: the log start moved by DeleteRecords, inside a batch, and to the very end
//   - empty: never written
//   - case: Orders beside orders
//   - many: very many partitions, few of them written
func Kinds() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// Load makes hard topics on cl and waits until they are as they should be: cleaned, cut off,
// aborted. What kfake can't do, it leaves out.
func Load(t testing.TB, cl Cluster, h Hard) []Topic {
	t.Helper()
	if h.Records == 0 {
		h.Records = 300
	}
	if h.ManyPartitions == 0 {
		h.ManyPartitions = 100
		if cl.Real() && os.Getenv("KAFKADR_LONG") != "" {
			h.ManyPartitions = 1000
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	l := &loader{TB: t, Hard: h, ctx: ctx, cl: cl, adm: kadm.NewClient(Client(t, cl)), rng: rand.New(rand.NewPCG(h.Seed, 1))}
	for _, k := range kinds {
		if (h.Only == nil || slices.Contains(h.Only, k.name)) && !slices.Contains(h.Without, k.name) {
			l.kind = k.name
			k.load(l)
		}
	}
	return l.topics
}

type loader struct {
	testing.TB
	Hard
	ctx    context.Context // of one call of Load
	cl     Cluster
	adm    *kadm.Client
	rng    *rand.Rand
	kind   string
	topics []Topic
}

// create makes a topic; configs are names and values in turn.
func (l *loader) create(name string, partitions int32, configs ...string) string {
	l.Helper()
	cfg, ptrs := map[string]string{}, map[string]*string{}
	for i := 0; i < len(configs); i += 2 {
		cfg[configs[i]], ptrs[configs[i]] = configs[i+1], &configs[i+1]
	}
	if _, err := l.adm.CreateTopic(l.ctx, partitions, -1, ptrs, name); err != nil {
		l.Fatalf("testkafka: create %s: %v", name, err)
	}
	Known(l, l.cl, name)
	l.topics = append(l.topics, Topic{Name: name, Kind: l.kind, Partitions: partitions, Configs: cfg})
	return name
}

// producer is a client that makes one batch of whatever is produced at once.
func (l *loader) producer(opts ...kgo.Opt) *kgo.Client {
	l.Helper()
	all := slices.Concat(l.cl.Opts(), []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(8 << 20),
		kgo.ManualFlushing(), kgo.MaxBufferedRecords(100_000), kgo.ProducerBatchCompression(kgo.NoCompression())}, opts)
	c, err := kgo.NewClient(all...)
	if err != nil {
		l.Fatalf("testkafka: %v", err)
	}
	return c
}

// batch produces records as one batch per partition.
func (l *loader) batch(c *kgo.Client, recs ...*kgo.Record) {
	l.Helper()
	var failed error
	for _, r := range recs {
		c.Produce(l.ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err
			}
		})
	}
	if err := c.Flush(l.ctx); err != nil {
		l.Fatalf("testkafka: %s: flush: %v", l.kind, err)
	}
	if failed != nil {
		l.Fatalf("testkafka: %s: produce: %v", l.kind, failed)
	}
}

// record is an ordinary record.
func (l *loader) record(topic string, partition int32, i int) *kgo.Record {
	return &kgo.Record{Topic: topic, Partition: partition, Key: fmt.Appendf(nil, "key-%d", l.rng.IntN(50)),
		Value: fmt.Appendf(nil, "%s-%d-%s", topic, i, strings.Repeat("x", l.rng.IntN(200))), Timestamp: time.UnixMilli(1_750_000_000_000 + int64(i)*1000)}
}

func (l *loader) records(topic string, partition int32, from, n int) []*kgo.Record {
	recs := make([]*kgo.Record, n)
	for i := range recs {
		recs[i] = l.record(topic, partition, from+i)
	}
	return recs
}

// until polls until f is true of the topic.
func (l *loader) until(what string, f func() bool) {
	l.Helper()
	Eventually(l, 90*time.Second, func(context.Context) error {
		if k := Kfake(l.cl); k != nil {
			k.Compact()
			k.ApplyRetention()
		}
		if f() {
			return nil
		}
		return fmt.Errorf("%s: %s", l.kind, what)
	})
}
