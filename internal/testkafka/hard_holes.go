package testkafka

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// cleaned are the configs that make the cleaner and the roller work at once.
var cleaned = []string{"cleanup.policy", "compact", "segment.ms", "100", "segment.bytes", "1048576", "min.cleanable.dirty.ratio", "0.0",
	"delete.retention.ms", "0", "min.compaction.lag.ms", "0"}

// compacted makes a log of these batches (a key per record), of which the cleaner takes what is in
// brackets:
//
//	0: [a] [b]        whole batch, at the log's start; its producer wrote nothing later, so a real cleaner keeps the batch, empty
//	2: [c] d [a]      holes first and last in the batch
//	5: e [f] g        a hole inside
//	8: [h] [h]        whole batch, gone: its producer wrote on
//	10: a b c f h     what took their place
//	15: [x] y         x is a tombstone
//	then: roll records, the last of which stay in the active segment
func (l *loader) compacted() { l.compact("hard.compacted") }

func (l *loader) schemas() { l.compact("_schemas") }

func (l *loader) compact(topic string) {
	l.create(topic, 1, cleaned...)
	first, c := l.producer(), l.producer()
	defer first.Close()
	defer c.Close()
	l.batch(first, l.keyed(topic, "a", "b")...)
	for _, keys := range [][]string{{"c", "d", "a"}, {"e", "f", "g"}, {"h", "h"}, {"a", "b", "c", "f", "h"}} {
		l.batch(c, l.keyed(topic, keys...)...)
	}
	last := l.keyed(topic, "x", "y")
	last[0].Value = nil
	l.batch(c, last...)
	gone := []int64{0, 1, 2, 4, 6, 8, 9}
	if l.cl.Real() {
		gone = append(gone, 15)
	}
	n := 0
	l.until("the cleaner hasn't cleaned", func() bool {
		if n < 40 { // each, when its time has come, rolls the segment that the earlier ones are in
			l.batch(c, l.keyed(topic, fmt.Sprintf("roll-%d", n%3))...)
			n++
		}
		return l.missing(topic, gone)
	})
}

func (l *loader) keyed(topic string, keys ...string) []*kgo.Record {
	var recs []*kgo.Record
	for _, k := range keys {
		recs = append(recs, &kgo.Record{Topic: topic, Key: []byte(k), Value: fmt.Appendf(nil, "%s-%d", k, l.rng.IntN(1000)), Timestamp: time.Now()})
	}
	return recs
}

// missing says whether none of the offsets holds a record.
func (l *loader) missing(topic string, offsets []int64) bool {
	l.Helper()
	c, err := Capture(l.ctx, l.cl.Opts(), []string{topic}, nil)
	if err != nil {
		l.Fatalf("testkafka: %v", err)
	}
	have := map[int64]bool{}
	for _, r := range c.Topics[topic][0].Records {
		have[r.Offset] = true
	}
	for _, o := range offsets {
		if have[o] {
			return false
		}
	}
	return true
}

// retention writes four segments of 100 records and lets retention take some: it has done all,
// perhaps in two goes, when not more than two are left.
func (l *loader) retention() {
	topic := l.create("hard.retention", 1, "segment.bytes", "1048576", "retention.bytes", "1500000", "retention.ms", "-1", "file.delete.delay.ms", "100")
	c := l.producer()
	defer c.Close()
	for i := range 40 {
		recs := l.records(topic, 0, 10*i, 10)
		for _, r := range recs {
			r.Value = make([]byte, 10_000)
		}
		l.batch(c, recs...)
	}
	l.until("retention hasn't moved the log start", func() bool { return l.start(topic) >= 200 })
}

func (l *loader) start(topic string) int64 {
	l.Helper()
	starts, err := l.adm.ListStartOffsets(l.ctx, topic)
	if err != nil {
		l.Fatalf("testkafka: %v", err)
	}
	o, _ := starts.Lookup(topic, 0)
	return o.Offset
}

// deleted has its log start inside the third batch; deleted-all at its end, with nothing left.
func (l *loader) deleted() {
	c := l.producer()
	defer c.Close()
	for _, to := range []struct {
		topic string
		start int64
	}{{"hard.deleted", 25}, {"hard.deleted-all", 50}} {
		l.create(to.topic, 1, noRetention...)
		for i := range 5 {
			l.batch(c, l.records(to.topic, 0, 10*i, 10)...)
		}
		offs := kadm.Offsets{}
		offs.AddOffset(to.topic, 0, to.start, -1)
		res, err := l.adm.DeleteRecords(l.ctx, offs)
		if err == nil {
			err = res.Error()
		}
		if err != nil {
			l.Fatalf("testkafka: delete records: %v", err)
		}
	}
}
