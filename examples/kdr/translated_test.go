package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
)

const foreignKey = "somebody else's"

// foreigner writes to all partitions of a topic until the returned func is called; at least n
// records each.
func (s *source) foreigner(topic string, partitions int32, n int) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	write := func(i int) {
		for p := range partitions {
			r := &kgo.Record{Topic: topic, Partition: p, Key: []byte(foreignKey), Value: fmt.Append(nil, i)}
			if err := s.cl.ProduceSync(context.WithoutCancel(ctx), r).FirstErr(); err != nil {
				s.t.Error(err)
				cancel()
			}
		}
	}
	for i := range n {
		write(i)
	}
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := n; ctx.Err() == nil; i++ {
			write(i)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	s.t.Cleanup(stop)
	return stop
}

// wantTranslated holds that each record of the source's topic is on the target's once, where its
// noted map says, and that all others there are foreign.
func wantTranslated(t *testing.T, from, to *source, alias, topic, target string) {
	t.Helper()
	capture := func(c testkafka.Cluster, topic string) map[int32]*testkafka.Partition {
		got, err := testkafka.Capture(t.Context(), c.Opts(), []string{topic}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return got.Topics[topic]
	}
	stored, err := offsets.Open(t.Context(), to.cl, alias)
	if err != nil {
		t.Fatal(err)
	}
	was, is := capture(from, topic), capture(to, target)
	for p, part := range was {
		at := map[int64]testkafka.Record{}
		var foreign uint64
		for i, r := range is[p].Records {
			if i == 0 {
				foreign = r.Key // the first is, by construction
			}
			if r.Key != foreign {
				at[r.Offset] = r
			}
		}
		for _, r := range part.Records {
			where, err := stored.Translate(t.Context(), topic, p, r.Offset)
			if err != nil || where.How != offsets.HowExact {
				t.Fatalf("%s/%d at %d: %+v, %v", topic, p, r.Offset, where, err)
			}
			copied := at[where.Offset]
			if copied.Offset = r.Offset; copied != r {
				t.Fatalf("%s/%d at %d: at %d is %+v, want %+v", topic, p, r.Offset, where.Offset, copied, r)
			}
			delete(at, where.Offset)
		}
		if len(at) > 0 || len(part.Records) == 0 {
			t.Fatalf("%s/%d: of %d records, %d are there twice or from nowhere", topic, p, len(part.Records), len(at))
		}
	}
}

func TestTranslate(t *testing.T) {
	a := backedUpFake(t)
	b := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	b.create("orders", 3, nil)
	b.foreigner("orders", 3, 7)()
	restore := []string{"restore", "--store", a.url, "--to", b.brokers(), "--offsets", "translated", "--source-alias", "old", "--groups", "--json"}
	doc := kdr(t, restore...).want(t, 0).json(t)
	if got := fields(t, doc, "records", "groups"); got["records"] != float64(a.records) {
		t.Errorf("restored %v, want %d records", got, a.records)
	}
	wantTranslated(t, a.source, b, "old", "orders", "orders")
	if doc := kdr(t, restore...).want(t, 0).json(t); doc["records"] != 0.0 {
		t.Errorf("again: %v records", doc["records"])
	}
	end := kdr(t, "translate", "--to", b.brokers(), "--source", "old", "orders", "1", "100", "--json").want(t, 0).json(t)
	if end["offset"].(float64) < 107 || end["how"] != "exact" || end["topic"] != "orders" || end["evidence"] == "" {
		t.Errorf("the end: %v", end)
	}
	if o := kdr(t, "translate", "--to", b.brokers(), "--source", a.ID(), "orders", "1", "1000").want(t, 0); !strings.Contains(o.stdout, "past_end") {
		t.Errorf("past the end: %s", o.stdout)
	}
	doc = kdr(t, "translate", "--to", b.brokers(), "--source", "olt", "orders", "1", "5", "--json").want(t, 1).json(t)
	if doc["how"] != "unknown" || doc["offset"] != -1.0 || !strings.Contains(doc["evidence"].(string), "old") {
		t.Errorf("a wrong source: %v", doc)
	}
	o := kdr(t, "translate", "--to", "nonsense", "orders", "-", "x").want(t, 2)
	for _, fault := range []string{"--brokers", "--source", "PARTITION", "OFFSET"} {
		if !strings.Contains(o.stderr, fault) {
			t.Errorf("%s isn't named: %s", fault, o.stderr)
		}
	}
}

// TestCrashTranslated kills a translated restore again and again, at random instants, while
// somebody else writes to its topics, until it is done; and the next one. Each archived record is
// on the target once, and the map says where.
func TestCrashTranslated(t *testing.T) {
	random := randomFor(t)
	s := newSource(t, pool.Real(t, testkafka.Options{}), "translated.")
	orders, payments := s.create("orders", 3, nil), s.create("payments", 1, nil)
	for range 40 {
		s.sendNoise(orders, 3, 100)
	}
	s.transactions(payments, 100)
	store := "file://" + filepath.Join(t.TempDir(), "archive")
	kdr(t, "backup", "--brokers", s.brokers(), "--store", store, "--topics", `translated\..*`).want(t, 0)

	n := -1
	var args []string
	var stops []func()
	next := func() {
		n++
		prefix := fmt.Sprintf("behind%d.", n)
		args = []string{"restore", "--store", store, "--brokers", s.brokers(), "--same-cluster", "--prefix", prefix, "--offsets", "translated", "--rate", "8MiB"}
		to := newSource(t, s.Cluster, prefix)
		to.create(orders, 3, nil)
		to.create(payments, 1, nil)
		stops = []func(){to.foreigner(prefix+orders, 3, 5), to.foreigner(prefix+payments, 1, 5)}
	}
	check := func() {
		for _, stop := range stops {
			stop()
		}
		for _, topic := range []string{orders, payments} {
			wantTranslated(t, s, s, s.ID(), topic, fmt.Sprintf("behind%d.", n)+topic)
		}
	}
	next()
	begin := time.Now()
	kdr(t, args...).want(t, 0) // undisturbed: how long is a restore?
	took := time.Since(begin)
	check()
	next()
	kills, inside := 5, 0
	if os.Getenv("KAFKADR_LONG") != "" {
		kills = 50
	}
	for range kills {
		if start(t, args...).crash(t, random, took/8, took*9/8) {
			check()
			next()
		} else if halfPlaced(t, kdr(t, append(args, "--dry-run", "--json")...).want(t, 0)) {
			inside++
		}
	}
	kdr(t, args[:len(args)-2]...).want(t, 0)
	check()
	t.Logf("%d restores were done; %d kills left a partition half done; an undisturbed restore takes %s", n+1, inside, took)
}

// halfPlaced says whether a plan finds a partition of which a part is there.
func halfPlaced(t *testing.T, o outcome) bool {
	t.Helper()
	for _, topic := range o.json(t)["plan"].(map[string]any)["topics"].([]any) {
		for _, partition := range topic.(map[string]any)["partitions"].([]any) {
			p := partition.(map[string]any)
			if placed, ok := p["placed"].(float64); ok && placed > 0 && p["records"].(float64) > 0 {
				return true
			}
		}
	}
	return false
}
