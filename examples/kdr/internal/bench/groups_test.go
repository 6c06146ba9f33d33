package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
)

// groups measures 10 000 groups of 10 partitions each: captured, planned, applied.
func (b *mirrorBench) groups() {
	const topic, parts = "m-groups", 10
	groups := intEnv("KAFKADR_BENCH_GROUPS", 10_000)
	if !b.only.MatchString(topic) {
		return
	}
	for _, side := range []*bench{b.bench, b.far} {
		side.create(topic, parts)
		side.produce(topic, 100, 1, codecs[0].kgo, 0)
	}
	b.commit(topic, parts, groups)
	ctx := b.t.Context()
	start, cpu := time.Now(), cpuTime()
	captured, err := offsets.Capture(ctx, b.cl, offsets.CaptureConfig{Only: []string{"bench-.*"}})
	if err != nil {
		b.t.Fatal(err)
	}
	capture := time.Since(start)
	start = time.Now()
	plan, err := offsets.NewGroupsPlan(ctx, b.far.cl, offsets.PlanConfig{Groups: captured})
	if err != nil {
		b.t.Fatal(err)
	}
	planned := time.Since(start)
	start = time.Now()
	res, err := plan.Apply(ctx, b.far.cl, offsets.ApplyConfig{Save: b.save})
	if err != nil {
		b.t.Fatal(err)
	}
	applied := time.Since(start)
	if res.Groups != groups || res.Offsets != groups*parts {
		b.t.Fatalf("%d groups and %d offsets were committed", res.Groups, res.Offsets)
	}
	b.printf("\n%d groups of %d partitions: captured in %.1f s, planned in %.1f s, applied in %.1f s; %.1f CPU-s.\n",
		groups, parts, capture.Seconds(), planned.Seconds(), applied.Seconds(), (cpuTime() - cpu).Seconds())
	for _, side := range []*bench{b.bench, b.far} {
		side.drop(topic)
	}
}

// save keeps what there was, as who applies a plan has to.
func (b *mirrorBench) save(before *offsets.Before) error {
	raw, err := json.Marshal(before)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.t.TempDir(), "before.json"), raw, 0o600)
}

// commit commits offsets of many groups at the source.
func (b *mirrorBench) commit(topic string, parts, groups int) {
	b.t.Helper()
	g, ctx := errgroup.WithContext(b.t.Context())
	g.SetLimit(32)
	for i := range groups {
		g.Go(func() error {
			at := make(kadm.Offsets)
			for p := range int32(parts) {
				at.AddOffset(topic, p, int64(i%900), -1)
			}
			return b.adm.CommitAllOffsets(ctx, fmt.Sprintf("bench-%d", i), at)
		})
	}
	if err := g.Wait(); err != nil {
		b.t.Fatal(err)
	}
}

// rereads says how many records a group reads again after a failover, by how far it was behind:
// with the mirror, and with MirrorMaker and its Java client.
func (b *mirrorBench) rereads() {
	const topic, prefix = "m-rereads", "re."
	if !b.only.MatchString(topic) {
		return
	}
	b.create(topic, 1)
	records := b.produce(topic, 100, 100, codecs[0].kgo, 0)
	behind := []int64{1000, 10_000, 100_000}
	var groups []string
	for _, n := range behind {
		at := make(kadm.Offsets)
		at.AddOffset(topic, 0, records-n, -1)
		groups = append(groups, fmt.Sprint("behind-", n))
		if err := b.adm.CommitAllOffsets(b.t.Context(), fmt.Sprint("behind-", n), at); err != nil {
			b.t.Fatal(err)
		}
	}
	job{Kind: "mirror", Brokers: b.addrs, To: b.far.addrs, Topic: topic, Prefix: prefix}.run(b.t)
	java := b.javaOffsets(topic, records, groups)
	b.printf("\n| a group behind by | reads again: mirror | MirrorMaker 2, RemoteClusterUtils |\n|---|---|---|\n")
	for i, n := range behind {
		on, err := b.far.adm.FetchOffsets(b.t.Context(), groups[i])
		if err != nil {
			b.t.Fatal(err)
		}
		ours, ok := on.Lookup(prefix+topic, 0)
		if !ok {
			b.t.Fatalf("%s isn't on the standby", groups[i])
		}
		again := "everything: no checkpoint"
		if at, ok := java[groups[i]]; ok {
			again = fmt.Sprint(records - n - at)
		}
		b.printf("| %d | %d | %s |\n", n, records-n-ours.At, again)
	}
	b.drop(topic)
	b.far.drop(topic, prefix+topic)
}

// javaOffsets are what MirrorMaker's own client translates, after two rounds of checkpoints behind
// the last record, or more if a group has none by then.
func (b *mirrorBench) javaOffsets(topic string, records int64, groups []string) map[string]int64 {
	b.t.Helper()
	w := b.watchMirrorMaker(topic, records)
	mm2 := testkafka.StartMM2(b.t, b.cluster, b.far.cluster, testkafka.MM2Options{Source: "RA", Target: "RB", Heap: "2g", JVM: []string{}, Properties: map[string]string{"topics": topic, "groups": "behind-.*"}})
	w.wait()
	identity := map[string]string{"replication.policy.class": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy"}
	at := make(map[string]int64)
	began := time.Now()
	const checkpoints, patience = 12 * time.Second, 40 * time.Second // they are written every 5 s
	for since := time.Duration(0); since < checkpoints || len(at) < len(groups) && since < patience; since = time.Since(began) {
		for _, o := range testkafka.MM2Offsets(b.t, b.far.cluster, "RA", identity, groups...) {
			at[o.Group] = o.Offset
		}
	}
	mm2.Kill(b.t)
	return at
}
