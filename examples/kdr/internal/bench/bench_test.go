package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

const partitions = 8

// TestBench prints the README's table. It runs where KAFKADR_BENCH is set;
// KAFKADR_BENCH_MB is the size of each topic (default 512), KAFKADR_BENCH_RUNS
// how often each pair runs (default 3), KAFKADR_BENCH_OUT a file for the table,
// KAFKADR_BENCH_ONLY a regular expression of topics.
func TestBench(t *testing.T) {
	if os.Getenv("KAFKADR_BENCH") == "" {
		t.Skip("measures speed: make bench")
	}
	b := newBench(t)
	b.header()
	b.printf("%d MB a topic, %d partitions\n\n", b.mb, partitions)
	b.printf("| topic | backup wall / limit | CPU / limit | peak MiB | restore wall / limit | CPU / limit | peak MiB | verify wall / limit |\n|---|---|---|---|---|---|---|---|\n")
	for _, size := range []int{1000, 100} {
		for _, codec := range codecs {
			b.pair(size, codec)
		}
	}
	b.printf("\nWall is limit over job (1 is as fast as the limit), CPU is job over limit; medians of %d runs in turn.\n", b.runs)
	b.printf("\n| topic, no bound | records | MB | backup s | backup CPU-s | restore s | restore CPU-s | restored records/s |\n|---|---|---|---|---|---|---|---|\n")
	for _, s := range shapes {
		b.shape(s)
	}
	b.minio()
	b.printf("\n| job | MB | wall s | CPU-s | peak MiB |\n|---|---|---|---|---|\n%s", b.detail.String())
}

// TestFlat backs up and restores 10 GB with KAFKADR_BENCH_MB unset and
// reports the peak memory beside that of a tenth.
func TestFlat(t *testing.T) {
	if os.Getenv("KAFKADR_BENCH_FLAT") == "" {
		t.Skip("measures memory over 10 GB and over 1 000 partitions: make bench-memory")
	}
	b := newBench(t)
	b.header()
	b.printf("| topic | partitions | GB | backup peak MiB | restore peak MiB |\n|---|---|---|---|---|\n")
	for _, c := range []struct {
		mb    int
		parts int32
	}{{1000, partitions}, {10000, partitions}, {1000, 1000}} {
		topic := fmt.Sprintf("flat-%d-%d", c.mb, c.parts)
		b.create(topic, c.parts)
		b.produce(topic, 1000, c.mb, kgo.ZstdCompression(), 0)
		dir := t.TempDir()
		up := job{Kind: "backup", Brokers: b.addrs, Topic: topic, Dir: dir}.run(t)
		down := job{Kind: "restore", Brokers: b.addrs, Dir: dir, Prefix: "r-"}.run(t)
		b.printf("| 1 KB, zstd | %d | %d | %d | %d |\n", c.parts, c.mb/1000, up.PeakKiB>>10, down.PeakKiB>>10)
		b.drop(topic, "r-"+topic)
		os.RemoveAll(dir)
	}
}

type bench struct {
	t       *testing.T
	cluster testkafka.Cluster
	addrs   []string
	cl      *kgo.Client
	adm     *kadm.Client
	out     io.Writer
	mb      int
	runs    int
	only    *regexp.Regexp
	// detail collects the figures behind the ratios.
	detail strings.Builder
}

type codec struct {
	name string
	kgo  kgo.CompressionCodec
}

var codecs = []codec{{"uncompressed", kgo.NoCompression()}, {"lz4", kgo.Lz4Compression()}, {"zstd", kgo.ZstdCompression()}}

func newBench(t *testing.T) *bench { return startBench(t, 512, "KAFKADR_BENCH_OUT") }

// startBench starts a cluster to measure on. out names the variable that names a file for the
// table.
func startBench(t *testing.T, mb int, out string) *bench {
	b := quietBench(t, mb, out)
	b.start()
	return b
}

// quietBench has no cluster yet.
func quietBench(t *testing.T, mb int, out string) *bench {
	b := &bench{t: t, out: os.Stdout, mb: intEnv("KAFKADR_BENCH_MB", mb), runs: intEnv("KAFKADR_BENCH_RUNS", 3)}
	var err error
	if b.only, err = regexp.Compile(os.Getenv("KAFKADR_BENCH_ONLY")); err != nil {
		t.Fatal(err)
	}
	if name := os.Getenv(out); name != "" {
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		b.out = io.MultiWriter(os.Stdout, f)
	}
	return b
}

func (b *bench) start() {
	b.cluster = testkafka.Real(b.t, testkafka.Options{Heap: "1g", JVM: []string{"-XX:+UseG1GC"}, Configs: map[string]string{
		"log.segment.bytes": "268435456", "log.retention.ms": "-1", "message.max.bytes": "8388608",
	}})
	cl, err := kgo.NewClient(append(b.cluster.Opts(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(900_000), kgo.ProducerLinger(20*time.Millisecond))...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(cl.Close)
	b.addrs, b.cl, b.adm = b.cluster.Addrs(), cl, kadm.NewClient(cl)
}

func intEnv(name string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return def
}

func (b *bench) printf(format string, args ...any) { fmt.Fprintf(b.out, format, args...) }

func (b *bench) header() {
	commit, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		commit = []byte("unknown")
	}
	b.printf("%s, commit %s, %d cores shared with the broker, Kafka 4.3.1\n\n",
		time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(commit)), runtime.NumCPU())
}

// pair measures backup, restore and verify beside their limits on one topic.
func (b *bench) pair(size int, c codec) {
	topic := fmt.Sprintf("r%d-%s", size, c.name)
	if !b.only.MatchString(topic) {
		return
	}
	b.create(topic, partitions)
	b.produce(topic, size, b.mb, c.kgo, 0)
	built := b.t.TempDir()
	job{Kind: "prebuild", Brokers: b.addrs, Topic: topic, Dir: built}.run(b.t)
	var up, upLimit, down, downLimit, check, checkLimit []measure
	for i := range b.runs {
		raw, dir := b.t.TempDir(), b.t.TempDir()
		upLimit = append(upLimit, job{Kind: "limit-backup", Brokers: b.addrs, Topic: topic, Dir: raw}.run(b.t))
		up = append(up, job{Kind: "backup", Brokers: b.addrs, Topic: topic, Dir: dir}.run(b.t))
		target, prefix := fmt.Sprintf("limit-%d-%s", i, topic), fmt.Sprintf("r%d-", i)
		b.create(target, partitions)
		downLimit = append(downLimit, job{Kind: "limit-restore", Brokers: b.addrs, Dir: built, Target: target}.run(b.t))
		b.drop(target)
		down = append(down, job{Kind: "restore", Brokers: b.addrs, Dir: dir, Prefix: prefix}.run(b.t))
		b.drop(prefix + topic)
		checkLimit = append(checkLimit, job{Kind: "limit-verify", Brokers: b.addrs, Dir: dir}.run(b.t))
		check = append(check, job{Kind: "verify", Brokers: b.addrs, Dir: dir}.run(b.t))
		os.RemoveAll(raw)
		os.RemoveAll(dir)
	}
	b.drop(topic)
	os.RemoveAll(built)
	b.printf("| %d B, %s | %.2f | %.2f | %d | %.2f | %.2f | %d | %.2f |\n", size, c.name,
		ratio(upLimit, up, wall), ratio(up, upLimit, cpu), peak(up),
		ratio(downLimit, down, wall), ratio(down, downLimit, cpu), peak(down),
		ratio(checkLimit, check, wall))
	for _, row := range []struct {
		name string
		ms   []measure
	}{{"backup limit", upLimit}, {"backup", up}, {"restore limit", downLimit}, {"restore", down}, {"verify limit", checkLimit}, {"verify", check}} {
		fmt.Fprintf(&b.detail, "| %d B, %s: %s | %d | %.2f | %.2f | %d |\n", size, c.name, row.name, row.ms[0].Bytes/1e6, median(row.ms, wall), median(row.ms, cpu), peak(row.ms))
	}
}

// shape is a topic whose round trips or holes bind, measured without a bound.
type shape struct {
	name string
	load func(b *bench, topic string) int64
}

var shapes = []shape{
	{"batches of 10 records", func(b *bench, topic string) int64 {
		b.create(topic, partitions)
		return b.produce(topic, 1000, b.mb/8, kgo.NoCompression(), 10)
	}},
	{"a marker every 50 records", func(b *bench, topic string) int64 {
		b.create(topic, partitions)
		return b.transactions(topic, b.mb/16, 50)
	}},
	{"every second record gone", func(b *bench, topic string) int64 {
		b.create(topic, partitions, "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01", "segment.bytes", "16777216", "max.compaction.lag.ms", "1000")
		return b.compacted(topic, b.mb/8)
	}},
}

func (b *bench) shape(s shape) {
	topic := strings.ReplaceAll(s.name, " ", "-")
	if !b.only.MatchString(topic) {
		return
	}
	records := s.load(b, topic)
	dir := b.t.TempDir()
	up := job{Kind: "backup", Brokers: b.addrs, Topic: topic, Dir: dir}.run(b.t)
	down := job{Kind: "restore", Brokers: b.addrs, Dir: dir, Prefix: "s-"}.run(b.t)
	b.printf("| %s | %d | %d | %.1f | %.1f | %.1f | %.1f | %.0f |\n", s.name, records, up.Bytes/1e6,
		up.Wall.Seconds(), up.CPU.Seconds(), down.Wall.Seconds(), down.CPU.Seconds(), float64(records)/down.Wall.Seconds())
	b.drop(topic, "s-"+topic)
}

// minio compares a backup to MinIO with uploading the same segments plainly.
func (b *bench) minio() {
	topic := "minio"
	if !b.only.MatchString(topic) {
		return
	}
	url := testkafka.MinIO(b.t).URL
	b.create(topic, partitions)
	b.produce(topic, 1000, b.mb, kgo.ZstdCompression(), 0)
	dir := b.t.TempDir()
	job{Kind: "backup", Brokers: b.addrs, Topic: topic, Dir: dir}.run(b.t)
	segments, err := filepath.Glob(filepath.Join(dir, "l", "*", "seg"))
	if err != nil || len(segments) != 1 {
		b.t.Fatalf("segments in %s: %v %v", dir, segments, err)
	}
	var up, plain []measure
	for i := range b.runs {
		plain = append(plain, job{Kind: "limit-upload", Brokers: b.addrs, Dir: segments[0], Bucket: url, Prefix: fmt.Sprintf("%d/", i)}.run(b.t))
		up = append(up, job{Kind: "backup", Brokers: b.addrs, Topic: topic, Bucket: fmt.Sprintf("%s&prefix=run%d/", url, i)}.run(b.t))
	}
	b.printf("\nBackup to MinIO (fetching included) over plain uploads of the same segments: %.2f wall, peak %d MiB.\n", ratio(plain, up, wall), peak(up))
}

func (b *bench) create(topic string, parts int32, configs ...string) {
	b.t.Helper()
	cfg := map[string]*string{"max.message.bytes": kadm.StringPtr("8388608"), "retention.ms": kadm.StringPtr("-1")}
	for i := 0; i < len(configs); i += 2 {
		cfg[configs[i]] = &configs[i+1]
	}
	r, err := b.adm.CreateTopic(b.t.Context(), parts, 1, cfg, topic)
	if err == nil {
		err = r.Err
	}
	if err != nil {
		b.t.Fatal(err)
	}
	testkafka.Known(b.t, b.cluster, topic)
	testkafka.Eventually(b.t, time.Minute, func(ctx context.Context) error { // a client that comes before the leaders do waits for 5 s
		ends, err := b.adm.ListEndOffsets(ctx, topic)
		return errors.Join(err, ends.Error())
	})
}

func (b *bench) drop(topics ...string) {
	if _, err := b.adm.DeleteTopics(context.WithoutCancel(b.t.Context()), topics...); err != nil {
		b.t.Log(err)
	}
}

func wall(m measure) float64  { return m.Wall.Seconds() }
func cpu(m measure) float64   { return m.CPU.Seconds() }
func whole(m measure) float64 { return m.Whole.Seconds() }

// ratio is the quotient of the medians of a figure.
func ratio(a, b []measure, figure func(measure) float64) float64 {
	return median(a, figure) / median(b, figure)
}

func median(ms []measure, figure func(measure) float64) float64 {
	var v []float64
	for _, m := range ms {
		v = append(v, figure(m))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func peak(ms []measure) int64 {
	var p int64
	for _, m := range ms {
		p = max(p, m.PeakKiB>>10)
	}
	return p
}
