package bench

import (
	"fmt"
	"os"
	"regexp"
	"sort"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// mirrorMaker measures MirrorMaker's catch-up on a topic; it compresses its copy.
func (b *mirrorBench) mirrorMaker(topic string, records int64, compression string, run int) measure {
	source, target := fmt.Sprint("A", compression, run), fmt.Sprint("B", compression, run) // offsets of one flow aren't another's
	if compression == "uncompressed" {
		compression = "none"
	}
	w := b.watchMirrorMaker(topic, records)
	mm2 := testkafka.StartMM2(b.t, b.cluster, b.far.cluster, testkafka.MM2Options{Source: source, Target: target, Heap: "2g", JVM: []string{}, Properties: map[string]string{
		"topics": topic, target + ".producer.compression.type": compression,
	}})
	got := w.measure(mm2.Log())
	_, mib := mm2.RSS(b.t)
	got.PeakKiB = mib << 10
	mm2.Kill(b.t)
	return got
}

// watcher looks at a copy and at MirrorMaker's CPU time, from before it is started, every few
// milliseconds.
type watcher struct {
	b       *mirrorBench
	topic   string
	records int64
	done    chan struct{} // all is mirrored
	samples []sample
}

type sample struct {
	at  time.Time
	cpu time.Duration
}

func (b *mirrorBench) watchMirrorMaker(topic string, records int64) *watcher {
	w := &watcher{b: b, topic: topic, records: records, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for n := int64(0); n < records && b.t.Context().Err() == nil; <-tick.C {
			n = b.far.end(topic)
			w.samples = append(w.samples, sample{time.Now(), childCPU("connect.mirror.MirrorMaker")})
		}
	}()
	return w
}

// wait waits for the last record.
func (w *watcher) wait() {
	w.b.t.Helper()
	select {
	case <-w.done:
	case <-time.After(5 * time.Minute):
		w.b.t.Fatalf("%s: MirrorMaker has mirrored %d of %d records", w.topic, w.b.far.end(w.topic), w.records)
	}
}

// measure is from the start of MirrorMaker's first task, as its log has it, to the last record:
// without the start of the JVM and of Connect.
func (w *watcher) measure(log string) measure {
	w.b.t.Helper()
	w.wait()
	text, err := os.ReadFile(log)
	if err != nil {
		w.b.t.Fatal(err)
	}
	line := regexp.MustCompile(`\[([0-9-]+ [0-9:]+),([0-9]{3})\] INFO .*replicating [0-9]+ topic-partitions`).FindSubmatch(text)
	if line == nil {
		w.b.t.Fatal("MirrorMaker's log doesn't say when it began")
	}
	began, err := time.ParseInLocation("2006-01-02 15:04:05.000", string(line[1])+"."+string(line[2]), time.Local)
	if err != nil {
		w.b.t.Fatal(err)
	}
	first := sort.Search(len(w.samples), func(i int) bool { return !w.samples[i].at.Before(began) })
	last := w.samples[len(w.samples)-1]
	if first == len(w.samples) {
		w.b.t.Fatal("MirrorMaker began after it was done")
	}
	return measure{Wall: last.at.Sub(began), CPU: last.cpu - w.samples[first].cpu, Whole: last.cpu}
}
