package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/bucket"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/filestore"
)

// follower is a producer that asks the register before each record, and writes to the cluster that
// is active.
type follower struct {
	t        testing.TB
	reg      register.Register
	clusters map[string]*source
	topic    string
	n        int
	acked    map[string]bool
}

// run produces until stopped.
func (f *follower) run(ctx context.Context) {
	var last register.Epoch
	for ctx.Err() == nil {
		next, err := register.Latest(ctx, f.reg, "shop")
		switch {
		case err == nil:
			last = next
		case !errors.Is(err, register.ErrNoEpoch):
			continue
		case last.Number == 0:
			last.Active = "a"
		}
		s, ok := f.clusters[last.Active]
		if !ok {
			continue
		}
		f.n++
		key := fmt.Sprintf("%s-%d", last.Active, f.n)
		if err := s.cl.ProduceSync(context.WithoutCancel(ctx), &kgo.Record{Topic: f.topic, Key: []byte(key)}).FirstErr(); err != nil {
			f.t.Error(err)
		}
		f.acked[key] = true
	}
}

// check holds that what was acknowledged is there, each once.
func (f *follower) check(c testkafka.Cluster) {
	f.t.Helper()
	found := make(map[string]bool)
	for _, records := range read(f.t, c, kgo.ReadCommitted(), f.topic) {
		for _, r := range records {
			for word := range strings.FieldsSeq(r) {
				if key := strings.Trim(word, `"`); strings.HasPrefix(key, "a-") || strings.HasPrefix(key, "b-") {
					if found[key] {
						f.t.Errorf("%s is there twice", key)
					}
					found[key] = true
				}
			}
		}
	}
	if !maps.Equal(found, f.acked) {
		f.t.Errorf("%d records were acknowledged, %d are there", len(f.acked), len(found))
	}
	f.t.Logf("%d records", len(found))
}

// load starts a follower; stop ends it.
func load(t testing.TB, file string, a, b *source, topic string) (f *follower, stop func()) {
	t.Helper()
	flag := clustersFlag{path: file}
	if flag.check(&app{getenv: func(string) string { return "" }}); len(flag.file.Register.stores) != 1 {
		t.Fatal(flag.file)
	}
	store, err := filestore.OpenBucket(filepath.FromSlash(flag.file.Register.stores[0].at.Path), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	reg, err := bucket.Open(t.Context(), store, bucket.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f = &follower{t: t, reg: reg, clusters: map[string]*source{"a": a, "b": b}, topic: topic, acked: make(map[string]bool)}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f.run(ctx) })
	return f, func() { cancel(); wg.Wait() }
}

// TestRealFailover: a planned failover under load loses and doubles nothing, and so does the way
// back.
func TestRealFailover(t *testing.T) {
	from := newSource(t, testkafka.Real(t, testkafka.Options{}), "")
	to := newSource(t, testkafka.Real(t, testkafka.Options{}), "")
	from.fill(100)
	from.create("load", 2, nil)
	file := clustersOf(t, from, to, map[string]any{"budget": map[string]any{"records": 1000}})
	flags := slices.Clip([]string{"--clusters", file, "--json"})

	m := mirrorBetween(t, file, "a", "b")
	producer, stop := load(t, file, from, to, "load")
	awaitCopied(t, from, to, "orders", 3)
	doc := kdr(t, append(flags, "failover", "--planned", "--to", "b")...).want(t, 0).json(t)
	logPhases(t, doc)
	wantAt(t, doc, "switched", "report", "end")
	m.wait(t).want(t, 0)
	m = mirrorBetween(t, file, "b", "a")
	awaitPlan(t, m, append(flags, "failback", "--dry-run")...)
	doc = kdr(t, append(flags, "failback")...).want(t, 0).json(t)
	logPhases(t, doc)
	stop()
	m.wait(t).want(t, 0)
	producer.check(from)
}

// realScope is a scope of two clusters, a and b: its file, and what runs for it.
type realScope struct {
	*testing.T
	from, to           *source
	file               string
	flags, topics      []string
	mirror, controller *following
}

// startScope starts a scope's mirror and its controller, and returns when all is well.
func startScope(t *testing.T, from, to *source, scope string, topics ...string) *realScope {
	t.Helper()
	s := &realScope{T: t, from: from, to: to, topics: topics, file: clustersOf(t, from, to, map[string]any{
		"scope": scope, "topics": topics, "flow": map[string]any{"name": scope}, "budget": map[string]any{"records": 1000},
	})}
	s.flags = slices.Clip([]string{"--clusters", s.file, "--json"})
	s.mirror = mirrorBetween(t, s.file, "a", "b")
	awaitPlan(t, s.mirror, append(s.flags, "failover", "--to", "b", "--dry-run")...)
	s.controller = start(t, append(s.flags, "controller", "--interval", "500ms", "--metrics", "127.0.0.1:0")...)
	s.controller.waitForLog(t, "serving metrics")
	awaitMetric(t, s.controller, `kafkadr_failover_up{cluster="b"} 1`, `kafkadr_failover_active{cluster="a"} 1`, "kafkadr_failover_rpo_unknown_partitions 0")
	return s
}

// switched waits until the controller has switched by itself, and the mirror has ended.
func (s *realScope) switched() {
	s.Helper()
	awaitPrinted(s, s.controller, `"report":`)
	s.mirror.wait(s).want(s, 0)
	for _, doc := range s.controller.documents(s) {
		if r, ok := doc["report"]; ok {
			wantAt(s, r, "switched", "end")
			logPhases(s, doc)
		}
	}
}

// back takes the scope back: the tail is saved, what is in the way deleted, b copied to a, looked
// at, and a made active.
func (s *realScope) back() {
	s.Helper()
	tail := filepath.Join(s.TempDir(), "tail")
	doc := kdr(s, append(s.flags, "failback", "--dry-run")...).want(s, 4).json(s)
	wantAt(s, at(s, doc, "plan", "conflicts").([]any)[0], "tail", "kind")
	doc = kdr(s, append(s.flags, "failback", "--save-tail", tail, "--prepare", "--delete-forked")...).want(s, 0).json(s)
	s.Logf("tail: %v; deleted: %v", at(s, doc, "tail", "records"), at(s, doc, "deleted"))
	s.mirror = mirrorBetween(s, s.file, "b", "a")
	awaitPlan(s, s.mirror, append(s.flags, "failback", "--save-tail", tail, "--dry-run")...)
	doc = kdr(s, append(s.flags, "failback", "--save-tail", tail)...).want(s, 0).json(s)
	wantAt(s, doc, "switched", "report", "end")
	wantAt(s, doc, "a", "report", "to")
	logPhases(s, doc)
	if o := s.mirror.wait(s).want(s, 0); strings.Contains(o.stderr, "policy=stop") {
		s.Errorf("partitions have stopped: %s", o.stderr)
	}
	status := kdr(s, append(s.flags, "status")...).json(s)
	wantAt(s, status, "a", "active")
	wantAt(s, status, 5.0, "epoch")
}

// TestRealController: when the active cluster is killed, controllers switch by themselves, within
// the budget, and their mirrors end; the application goes on. When it is back, so is one scope
// after the other: with all that was acked, once and in order, the same on both clusters, and the
// application on it again.
func TestRealController(t *testing.T) {
	from := newSource(t, testkafka.Real(t, testkafka.Options{}), "")
	to := newSource(t, testkafka.Real(t, testkafka.Options{}), "")
	from.fill(100)
	from.create("load", 2, nil)
	quiet := startScope(t, from, to, "quiet", "orders", "payments", "empty")
	busy := startScope(t, from, to, "busy", "load")
	j := newJournal(t)
	app := j.application("app", busy.file, "load", true)
	goesOn := func() {
		t.Helper()
		before := j.count("app")
		testkafka.Eventually(t, 2*time.Minute, func(context.Context) error {
			return errors.Join(atLeast("acks", j.count("app"), before+50), app.alive())
		})
	}
	goesOn()
	for _, broker := range from.Brokers() {
		from.Kill(t, broker)
	}
	killed := time.Now()
	busy.switched()
	t.Logf("switched after %v", time.Since(killed).Round(time.Millisecond))
	quiet.switched()
	testkafka.Eventually(t, 2*time.Minute, func(context.Context) error { return j.said("app", "switched", 1) })
	goesOn()
	to.send("orders", 3, 50)
	for _, broker := range from.Brokers() {
		from.Start(t, broker)
	}
	quiet.back()
	wantSameCommitted(t, to, from, quiet.topics...)
	if err := j.said("app", "switched", 2); err == nil {
		t.Error("the other scope went with it")
	}
	goesOn()
	busy.back()
	testkafka.Eventually(t, 2*time.Minute, func(context.Context) error { return j.said("app", "switched", 2) })
	goesOn()
	app.tell("stop")
	testkafka.Eventually(t, 2*time.Minute, func(context.Context) error { return errors.Join(j.said("app", "flushed", 1), app.alive()) })
	stored := logOf(t, from, "load", nil)
	testkafka.Eventually(t, 2*time.Minute, func(context.Context) error { return errors.Join(j.delivered(stored), app.alive()) })
	app.end(exitDone)
	there := j.check(stored)
	for rec := range j.acked {
		if !there[rec] {
			t.Errorf("%v was acked, and isn't there", rec)
		}
	}
	wantBegin(t, from, to, "load")
	for _, s := range []*realScope{quiet, busy} {
		s.controller.stop(t, syscall.SIGTERM).want(t, 130)
	}
	t.Logf("%d records were acked, %d are there", len(j.acked), len(stored))
}

// wantBegin holds that one cluster's partitions begin with all that the other one's hold, record
// for record.
func wantBegin(t *testing.T, whole, begin testkafka.Cluster, topic string) {
	t.Helper()
	got, want := read(t, whole, kgo.ReadCommitted(), topic), read(t, begin, kgo.ReadCommitted(), topic)
	for p, records := range want {
		if len(got[p]) < len(records) {
			t.Errorf("%s: %d records, fewer than %d", p, len(got[p]), len(records))
			continue
		}
		got[p] = got[p][:len(records)]
	}
	if d := firstDifference(want, got); d != "" {
		t.Error(d)
	}
}

// awaitPrinted waits for a text on standard output.
func awaitPrinted(t testing.TB, f *following, text string) {
	t.Helper()
	testkafka.Eventually(t, 2*time.Minute, func(context.Context) error {
		if out := f.stdout.String(); !strings.Contains(out, text) {
			return errors.Join(fmt.Errorf("no %s in %s", text, out), f.alive())
		}
		return nil
	})
}

// awaitPlan waits until a plan has no conflicts.
func awaitPlan(t testing.TB, m *following, args ...string) {
	t.Helper()
	testkafka.Eventually(t, 2*time.Minute, func(context.Context) error {
		if o := kdr(t, args...); o.code != 0 {
			return errors.Join(errors.New(o.stderr), m.alive())
		}
		return nil
	})
}

// awaitMetric waits until all of some lines are among a controller's metrics.
func awaitMetric(t testing.TB, c *following, lines ...string) {
	t.Helper()
	url := "http://" + c.metricsAddr(t) + "/metrics"
	testkafka.Eventually(t, 2*time.Minute, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		for _, line := range lines {
			if !strings.Contains(string(raw), line) {
				err = errors.Join(err, fmt.Errorf("no %s", line))
			}
		}
		return errors.Join(err, c.alive())
	})
}
