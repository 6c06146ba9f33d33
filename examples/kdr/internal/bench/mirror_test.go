package bench

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestBenchMirror prints the mirror's tables: beside MirrorMaker 2 and the limit of producing, its
// latency, groups, and what is read again after a failover. It runs where KAFKADR_BENCH is set.
// KAFKADR_BENCH_MB (default 1000 here), _RUNS and _ONLY are as in [TestBench];
// KAFKADR_BENCH_MM2_RUNS is how often MirrorMaker runs on each topic (default: as often as the
// mirror), KAFKADR_BENCH_MIRROR_OUT a file for the tables.
func TestBenchMirror(t *testing.T) {
	if os.Getenv("KAFKADR_BENCH") == "" {
		t.Skip("measures speed: make bench")
	}
	b := startBench(t, 1000, "KAFKADR_BENCH_MIRROR_OUT")
	m := &mirrorBench{bench: b, far: startBench(t, 0, ""), mm2Runs: intEnv("KAFKADR_BENCH_MM2_RUNS", b.runs)}
	b.header()
	b.printf("%d MB of records a topic, %d partitions, one broker each, MirrorMaker 2 tuned; medians of %d runs, of MirrorMaker's %d\n\n",
		b.mb, partitions, b.runs, m.mm2Runs)
	b.printf("| topic | limit / mirror wall | MirrorMaker / mirror wall | mirror CPU-s/GB | MirrorMaker CPU-s/GB | MirrorMaker / mirror CPU | with its start | mirror peak MiB | MirrorMaker peak MiB |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, size := range []int{1000, 100} {
		for _, codec := range codecs {
			m.pair(fmt.Sprintf("%d B, %s", size, codec.name), shapeOf{size: size, mb: b.mb, codec: codec})
		}
	}
	m.pair("batches of 10 records", shapeOf{size: 1000, mb: b.mb / 4, codec: codecs[0], perBatch: 10})
	b.printf("\nWall and CPU of the mirror are of a whole process from its start to its end, those of MirrorMaker from the start of its first task to the last record; \"with its start\" counts its process from its start as well. Its copies have the source's compression, but where the topic says otherwise. CPU is of the copier alone, per GB of records; with batches of 10 records the topic has %d MB.\n", b.mb/4)
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
		both := []func(){func() {
			b.far.create(target, partitions)
			limit = append(limit, job{Kind: "limit-restore", Brokers: b.far.addrs, Dir: built, Target: target}.run(b.t))
			b.far.drop(target)
		}, func() {
			own = append(own, job{Kind: "mirror", Brokers: b.addrs, To: b.far.addrs, Topic: topic, Prefix: prefix}.run(b.t))
			b.wantEnd(prefix+topic, records)
			b.far.drop(prefix + topic)
		}}
		both[i%2]() // nobody is always first: what one has written is on its way to the disk while the other runs
		both[1-i%2]()
	}
	mm2 = b.mirrorMakers(topic, records, s.codec.name)
	os.RemoveAll(built)
	gb := float64(s.mb) / 1000
	if b.mm2Runs > 0 {
		b.row(name, gb, limit, own, mm2)
	} else {
		b.printf("| %s | %.2f | | %.2f | | | | %d | |\n", name, ratio(limit, own, wall), median(own, cpu)/gb, peak(own))
	}
	b.rows(name, records, map[string][]measure{"limit": limit, "mirror": own, "MirrorMaker": mm2}, "limit", "mirror", "MirrorMaker")
	if s.codec.name == "uncompressed" && b.mm2Runs > 0 { // the tuning that is recommended compresses
		mm2 = b.mirrorMakers(topic, records, "lz4")
		b.row(name+", MirrorMaker's copy lz4", gb, limit, own, mm2)
		b.rows(name, records, map[string][]measure{"MirrorMaker to lz4": mm2}, "MirrorMaker to lz4")
	}
	b.drop(topic)
}

func (b *mirrorBench) mirrorMakers(topic string, records int64, compression string) (ms []measure) {
	for i := range b.mm2Runs {
		ms = append(ms, b.mirrorMaker(topic, records, compression, i))
		b.far.drop(topic)
	}
	return ms
}

func (b *mirrorBench) row(name string, gb float64, limit, own, mm2 []measure) {
	b.printf("| %s | %.2f | %.1f | %.2f | %.1f | %.1f | %.1f | %d | %d |\n", name, ratio(limit, own, wall), ratio(mm2, own, wall),
		median(own, cpu)/gb, median(mm2, cpu)/gb, ratio(mm2, own, cpu), median(mm2, whole)/median(own, cpu), peak(own), peak(mm2))
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
