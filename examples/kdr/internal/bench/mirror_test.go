package bench

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestBenchMirror prints the mirror's tables: beside MirrorMaker 2 and the limit of producing, its latency, groups, and what is read again after a
// failover. It runs where KAFKADR_BENCH is set. KAFKADR_BENCH_MB (default 1000 here), _RUNS and _ONLY are as in [TestBench];
// KAFKADR_BENCH_MM2_RUNS is how often MirrorMaker runs on each topic (default: as often as the mirror), KAFKADR_BENCH_MIRROR_OUT a file for the tables.
func TestBenchMirror(t *testing.T) {
	if os.Getenv("KAFKADR_BENCH") == "" {
		t.Skip("measures speed: make bench")
	}
	b := startBench(t, 1000, "KAFKADR_BENCH_MIRROR_OUT")
	m := &mirrorBench{bench: b, far: startBench(t, 0, ""), mm2Runs: intEnv("KAFKADR_BENCH_MM2_RUNS", b.runs)}
	b.header()
	b.printf("%d MB of records a topic, %d partitions, one broker each; MirrorMaker 2 tuned, its start not counted; medians of %d runs, of MirrorMaker's %d\n\n",
		b.mb, partitions, b.runs, m.mm2Runs)
	b.printf("| topic | limit / mirror wall | MirrorMaker / mirror wall | mirror CPU-s/GB | MirrorMaker CPU-s/GB | MirrorMaker / mirror CPU | mirror peak MiB | MirrorMaker peak MiB |\n|---|---|---|---|---|---|---|---|\n")
	for _, size := range []int{1000, 100} {
		for _, codec := range codecs {
			m.pair(fmt.Sprintf("%d B, %s", size, codec.name), shapeOf{size: size, mb: b.mb, codec: codec})
		}
	}
	m.pair("batches of 10 records", shapeOf{size: 1000, mb: b.mb / 8, codec: codecs[0], perBatch: 10})
	b.printf("\nCPU is of the copier alone, per GB of records; with batches of 10 records it is %d MB.\n", b.mb/8)
	m.latency()
	m.groups()
	m.rereads()
	b.printf("\n| job | records | wall s | records/s | CPU-s | peak MiB |\n|---|---|---|---|---|---|\n%s", b.detail.String())
}

// mirrorBench is a bench with a standby.
type mirrorBench struct {
	*bench
	far     *bench
	mm2Runs int
}

// shapeOf is what a topic is filled with.
type shapeOf struct {
	size, mb, perBatch int
	codec              codec
}

// pair measures the mirror beside its limit and MirrorMaker on one topic.
func (b *mirrorBench) pair(name string, s shapeOf) {
	topic := strings.NewReplacer(" ", "-", ",", "").Replace("m-" + name)
	if !b.only.MatchString(topic) {
		return
	}
	b.create(topic, partitions)
	records := b.produce(topic, s.size, s.mb, s.codec.kgo, s.perBatch)
	built := b.t.TempDir()
	job{Kind: "prebuild", Brokers: b.addrs, Topic: topic, Dir: built}.run(b.t)
	var limit, own, mm2 []measure
	for i := range b.runs {
		target, prefix := fmt.Sprintf("limit-%d-%s", i, topic), fmt.Sprintf("k%d.", i)
		b.far.create(target, partitions)
		limit = append(limit, job{Kind: "limit-restore", Brokers: b.far.addrs, Dir: built, Target: target}.run(b.t))
		b.far.drop(target)
		own = append(own, job{Kind: "mirror", Brokers: b.addrs, To: b.far.addrs, Topic: topic, Prefix: prefix}.run(b.t))
		b.wantEnd(prefix+topic, records)
		b.far.drop(prefix + topic)
	}
	for i := range b.mm2Runs {
		mm2 = append(mm2, b.mirrorMaker(topic, records, s.codec, i))
		b.far.drop(topic)
	}
	b.drop(topic)
	os.RemoveAll(built)
	gb := float64(s.mb) / 1000
	if b.mm2Runs > 0 {
		b.printf("| %s | %.2f | %.1f | %.2f | %.1f | %.1f | %d | %d |\n", name, ratio(limit, own, wall), ratio(mm2, own, wall),
			median(own, cpu)/gb, median(mm2, cpu)/gb, ratio(mm2, own, cpu), peak(own), peak(mm2))
	} else {
		b.printf("| %s | %.2f | | %.2f | | | %d | |\n", name, ratio(limit, own, wall), median(own, cpu)/gb, peak(own))
	}
	b.rows(name, records, map[string][]measure{"limit": limit, "mirror": own, "MirrorMaker": mm2}, "limit", "mirror", "MirrorMaker")
}

func (b *mirrorBench) rows(name string, records int64, of map[string][]measure, order ...string) {
	for _, kind := range order {
		if ms := of[kind]; len(ms) > 0 {
			fmt.Fprintf(&b.detail, "| %s: %s | %d | %.2f | %.0f | %.2f | %d |\n", name, kind, records, median(ms, wall), float64(records)/median(ms, wall), median(ms, cpu), peak(ms))
		}
	}
}

// end is the sum of a topic's end offsets, 0 where there is no such topic or no answer.
func (b *bench) end(topic string) (n int64) {
	ends, err := b.adm.ListEndOffsets(b.t.Context(), topic)
	if err != nil {
		return 0
	}
	for _, o := range ends[topic] {
		if o.Err == nil {
			n += o.Offset
		}
	}
	return n
}

func (b *mirrorBench) wantEnd(topic string, records int64) {
	b.t.Helper()
	if got := b.far.end(topic); got != records {
		b.t.Fatalf("%s: the standby has %d records, the source %d", topic, got, records)
	}
}

// mirrorMaker measures MirrorMaker's catch-up on a topic: from its first record on the standby to the last, without the start of the JVM.
func (b *mirrorBench) mirrorMaker(topic string, records int64, c codec, run int) measure {
	source, target := fmt.Sprint("A", run), fmt.Sprint("B", run) // offsets of one flow aren't another's
	compression := c.name
	if compression == "uncompressed" {
		compression = "none"
	}
	watch := b.watchMirrorMaker(topic, records)
	mm2 := testkafka.StartMM2(b.t, b.cluster, b.far.cluster, testkafka.MM2Options{Source: source, Target: target, Heap: "2g", JVM: []string{}, Properties: map[string]string{
		"topics": topic, target + ".producer.compression.type": compression,
	}})
	got := watch()
	_, got.PeakKiB = mm2.RSS(b.t)
	got.PeakKiB <<= 10
	mm2.Kill(b.t)
	return got
}

// watchMirrorMaker looks at the copy and at MirrorMaker's CPU time, from before it is started, every few milliseconds; what it returns waits for the last record.
func (b *mirrorBench) watchMirrorMaker(topic string, records int64) func() measure {
	result := make(chan measure, 1)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		var began time.Time
		var before time.Duration
		for {
			n := b.far.end(topic)
			used := childCPU("connect.mirror.MirrorMaker")
			if n == 0 {
				began, before = time.Now(), used
			}
			if n >= records {
				result <- measure{Wall: time.Since(began), CPU: used - before}
				return
			}
			select {
			case <-b.t.Context().Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() measure {
		select {
		case m := <-result:
			return m
		case <-time.After(5 * time.Minute):
			b.t.Fatalf("%s: MirrorMaker has mirrored %d of %d records", topic, b.far.end(topic), records)
			return measure{}
		}
	}
}
