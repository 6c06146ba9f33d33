package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
)

// TestBenchFailover prints the failover client's tables: what it costs beside plain kgo, how long
// applications wait at kills, black holes and planned switches, and what plain kgo with the seed
// brokers of both clusters makes of the same kills. It runs where KAFKADR_BENCH is set.
// KAFKADR_BENCH_RUNS (default 5 here) and _ONLY (of cost, kill, blackhole, fenced and planned) are
// as in [TestBench]; KAFKADR_BENCH_MB is what is produced in each run of 1 KB records (default
// 500), KAFKADR_BENCH_KILLS how many kills and black holes there are (default 30),
// KAFKADR_BENCH_FAILOVER_OUT a file for the tables. A target that is missed is said in the table;
// it is no failure.
func TestBenchFailover(t *testing.T) {
	if os.Getenv("KAFKADR_BENCH") == "" {
		t.Skip("measures speed: make bench")
	}
	b := quietBench(t, 500, "KAFKADR_BENCH_FAILOVER_OUT")
	b.runs = intEnv("KAFKADR_BENCH_RUNS", 5)
	b.header()
	t.Run("cost", func(t *testing.T) { b.in(t).cost() })
	t.Run("outages", func(t *testing.T) { b.in(t).outages() })
}

// in is the bench of a part: what that starts ends with it.
func (b *bench) in(t *testing.T) *bench {
	part := *b
	part.t = t
	return &part
}

// clients are plain kgo and what is measured beside it, each with the share of kgo's records per
// second that it must have and ought to have.
var clients = []struct {
	name         string
	must, target float64
}{{"kgo", 0, 0}, {"failover", 0.9, 0.97}, {"replay", 0.9, 0.9}}

// cost measures what the client costs where nothing happens.
func (b *bench) cost() {
	jobs := costs(b.mb * 1000)
	jobs = slices.DeleteFunc(jobs, func(c costOf) bool { return !b.only.MatchString("cost " + c.name()) })
	if len(jobs) == 0 {
		return
	}
	b.start()
	b.printf("\n## Cost\n\nOne client in a process of its own, default options but for the topic, %d partitions, one broker on the same cores; each round runs all three in turn. Wall is records/s over plain kgo's of the same round "+
		"(1 is as fast), CPU is CPU per record over kgo's; medians of %d rounds, with the least and most of the rounds' walls. Replay is with its defaults; what it asks whether it has the records is the same cluster.\n\n", partitions, b.runs)
	b.printf("| job | wall | rounds | CPU | CPU us/record | kgo's | target | |\n|---|---|---|---|---|---|---|---|\n")
	for _, c := range jobs {
		b.costOf(c)
	}
}

// costOf is what is measured on a topic.
type costOf struct {
	kind          string
	size, records int
}

func (c costOf) name() string { return fmt.Sprintf("%s, %d B", c.kind, c.size) }

func costs(records int) []costOf {
	return []costOf{{"produce", 1000, records}, {"consume", 1000, records}, {"produce", 100, 4 * records}, {"consume", 100, 4 * records}}
}

func (b *bench) costOf(c costOf) {
	kind, size, records, name := c.kind, c.size, c.records, c.name()
	topic := fmt.Sprintf("cost-%s-%d", kind, size)
	if kind == "consume" {
		b.create(topic, partitions)
		b.produce(topic, size, records*size/1e6, kgo.SnappyCompression(), 0)
	}
	by := map[string][]measure{}
	for i := range b.runs {
		for j := range clients {
			c := clients[(i+j)%len(clients)].name // nobody is always first
			if kind == "produce" {
				topic = fmt.Sprintf("cost-%s-%d-%s-%d", kind, size, c, i)
				b.create(topic, partitions)
			}
			by[c] = append(by[c], job{Kind: kind, Brokers: b.addrs, Topic: topic, Client: c, Size: size, Records: records}.run(b.t))
			if kind == "produce" {
				b.drop(topic)
			}
		}
	}
	for _, c := range clients[1:] {
		walls := pairs(by["kgo"], by[c.name], wall)
		per := func(name string) float64 { return 1e6 * median(by[name], cpu) / float64(records) }
		got := middle(walls)
		b.printf("| %s: %s | %.2f | %.2f to %.2f | %.2f | %.2f | %.2f | %.2f | %s |\n", name, c.name, got, walls[0], walls[len(walls)-1],
			middle(pairs(by[c.name], by["kgo"], cpu)), per(c.name), per("kgo"), c.target, verdict(got >= c.target, got >= c.must))
	}
	if kind == "consume" {
		b.drop(topic)
	}
}

// pairs are the quotients of a figure, round by round, sorted.
func pairs(a, b []measure, figure func(measure) float64) []float64 {
	qs := make([]float64, len(a))
	for i := range a {
		qs[i] = figure(a[i]) / figure(b[i])
	}
	slices.Sort(qs)
	return qs
}

func middle(sorted []float64) float64 { return sorted[len(sorted)/2] }

func verdict(target, must bool) string {
	switch {
	case target:
		return "met"
	case must:
		return "missed, but what it must"
	}
	return "**missed**"
}

// application is the client that a job measures.
func (j job) application(ctx context.Context, opts ...kgo.Opt) (failover.Kafka, error) {
	brokers := []kgo.Opt{kgo.SeedBrokers(j.Brokers...)}
	if j.Client == "kgo" {
		return kgo.NewClient(append(brokers, opts...)...)
	}
	// The same cluster by two names: what was acked is on the standby at once.
	cfg := failover.Config{Clusters: []failover.Cluster{{Name: "a", Opts: brokers}, {Name: "b", Opts: brokers}}, Alone: true, Opts: opts}
	if j.Client == "replay" {
		cfg.Replay = &failover.Replay{}
	}
	return failover.NewClient(ctx, cfg)
}

// produceAll produces as fast as it can.
func (j job) produceAll(ctx context.Context) (int64, error) {
	cl, err := j.application(ctx, kgo.DefaultProduceTopic(j.Topic))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	values := payloads(j.Size)
	var acked, failed atomic.Int64
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.Add(1)
			return
		}
		acked.Add(1)
	}
	for i := range j.Records {
		cl.Produce(ctx, &kgo.Record{Value: values[i%len(values)]}, promise)
	}
	err = cl.Flush(ctx)
	if n := acked.Load(); err == nil && n != int64(j.Records) {
		err = fmt.Errorf("%d of %d records are acked, %d failed", n, j.Records, failed.Load())
	}
	return int64(j.Records * j.Size), err
}

// consumeAll polls a topic from its start.
func (j job) consumeAll(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cl, err := j.application(ctx, kgo.ConsumeTopics(j.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	var bytes int64
	for n := 0; n < j.Records; {
		fs := cl.PollFetches(ctx)
		var errs []error
		fs.EachError(func(_ string, _ int32, err error) { errs = append(errs, err) })
		if err := errors.Join(errs...); err != nil {
			return 0, err
		}
		fs.EachRecord(func(r *kgo.Record) { n++; bytes += int64(len(r.Value)) })
	}
	return bytes, nil
}

// profileName is a job's, for its profile.
func (j job) profileName() string {
	return strings.Trim(j.Kind+"-"+j.Client, "-")
}
