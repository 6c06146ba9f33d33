package restore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// As on kfake, on a real broker.
func TestRealTranslatedHistories(t *testing.T) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 13))
		prefix := fmt.Sprintf("t%d-", seed)
		topics := randomTopics(t, r, prefix+"a", prefix+"b", prefix+"c")
		f := opstest.RandomFilter(r)
		cfg, cl := realConfig(t, fakeArchive(t, nil, topics...))
		cfg.Offsets, cfg.Until, cfg.Edit = Translated, f.Until, f.Edit
		f.MaxBatch = 0
		existing(t, cl, map[string]*string{"retention.ms": ptr("-1")}, topics[:2]...)
		stop := producing(t, cl, topics[:2]...)
		res := restored(t, cfg)
		stop()
		checkTranslated(t, cl, f, res.Maps, topics...)
		cfg.VerifyTarget = true
		if again := restored(t, cfg); again.Records != 0 {
			t.Errorf("a complete job appended %d records", again.Records)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// The target's own cleaner takes records of a job that isn't known to be done, and the broker
// stamps those that are appended: the job is gone on with all the same, and nothing that was there
// is appended again.
func TestRealTranslatedCompacted(t *testing.T) {
	cl := pool.Real(t, testkafka.Options{})
	h := opstest.History{}
	for i := range int64(40) {
		var rs []*kgo.Record
		for k := range int64(50) {
			rs = append(rs, &kgo.Record{Offset: h.End + k, Timestamp: time.UnixMilli(1e12 + i), Key: fmt.Append(nil, "key", (i*7+k)%40), Value: make([]byte, 2000)})
		}
		raw, err := batch.Append(nil, h.End, kgo.NoCompression(), rs...)
		if err != nil {
			t.Fatal(err)
		}
		h.Batches = append(h.Batches, opstest.Batch{Raw: raw})
		h.End += 50
	}
	topic := fakeTopic{name: "t-compacted", partitions: []opstest.History{h}}
	cfg := Config{Target: cl.Opts(), Snapshot: fakeArchive(t, nil, topic), Offsets: Translated}
	existing(t, cl, map[string]*string{
		"cleanup.policy": ptr("compact"), "segment.bytes": ptr("1048576"), "segment.ms": ptr("500"), "min.cleanable.dirty.ratio": ptr("0"),
		"message.timestamp.type": ptr("LogAppendTime"),
	}, topic)
	first := restored(t, cfg)
	c := connectTo(t, cl)
	forgetDone(t, cfg)
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		others(t, cl, topic.name, 0, 1) // the segment rolls when something is appended
		got, _, _ := onTarget(t, c, topic.name, 0)
		n := 0
		for _, g := range got {
			if !g.Hole && g.Key != foreign {
				n++
			}
		}
		if n > 400 {
			return errors.New("not compacted")
		}
		return nil
	})
	cfg.VerifyTarget = true
	res := restored(t, cfg)
	if res.Records != 0 {
		t.Errorf("%d records were appended again", res.Records)
	}
	m, was := res.Maps[0], first.Maps[0]
	for u := range h.End + 2 {
		got, how := m.Translate(u)
		want, _ := was.Translate(u)
		if got < want || how == "exact" && got != want {
			t.Fatalf("%d: %d %s, was %d", u, got, how, want)
		}
	}
}

// forgetDone makes a job that is done one that was killed before it wrote its maps.
func forgetDone(t testing.TB, cfg Config) {
	t.Helper()
	j := planned(t, cfg).job
	c, err := j.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l, err := ledger.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	entries := map[string]any{}
	for _, tj := range j.topics {
		for _, pj := range tj.partitions {
			n := *pj.to.note
			n.DoneAt = nil
			entries[pj.noteKey()] = n
		}
	}
	if err := l.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}
