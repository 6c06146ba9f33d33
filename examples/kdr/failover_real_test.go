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
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/filestore"
)

// follower is a producer that asks the register before each record, and writes to the cluster that is active.
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
	bucket, err := filestore.OpenBucket(filepath.FromSlash(flag.file.Register.stores[0].at.Path), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bucket.Close() })
	reg, err := register.OpenBucket(t.Context(), bucket, register.BucketConfig{})
	if err != nil {
		t.Fatal(err)
	}
	f = &follower{t: t, reg: reg, clusters: map[string]*source{"a": a, "b": b}, topic: topic, acked: make(map[string]bool)}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f.run(ctx) })
	return f, func() { cancel(); wg.Wait() }
}

// TestRealFailover: a planned failover under load loses and doubles nothing, and so does the way back.
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

// TestRealController: when the active cluster is killed, a controller switches by itself, within the budget, and its mirror ends.
func TestRealController(t *testing.T) {
	from := newSource(t, testkafka.Real(t, testkafka.Options{}), "")
	to := newSource(t, testkafka.Real(t, testkafka.Options{}), "")
	from.fill(100)
	file := clustersOf(t, from, to, map[string]any{"budget": map[string]any{"records": 1000}})
	flags := slices.Clip([]string{"--clusters", file, "--json"})
	m := mirrorBetween(t, file, "a", "b")
	awaitPlan(t, m, append(flags, "failover", "--to", "b", "--max-rpo", "0", "--dry-run")...)
	c := start(t, append(flags, "controller", "--interval", "500ms", "--metrics", "127.0.0.1:0")...)
	c.waitForLog(t, "serving metrics")
	awaitMetric(t, c, `kafkadr_failover_up{cluster="b"} 1`, `kafkadr_failover_active{cluster="a"} 1`, "kafkadr_failover_rpo_records 0")
	for _, broker := range from.Brokers() {
		from.Kill(t, broker)
	}
	killed := time.Now()
	awaitPrinted(t, c, `"report":`)
	t.Logf("switched after %v", time.Since(killed).Round(time.Millisecond))
	m.wait(t).want(t, 0)
	for _, doc := range c.documents(t) {
		if r, ok := doc["report"]; ok {
			wantAt(t, r, "switched", "end")
			logPhases(t, doc)
		}
	}
	c.stop(t, syscall.SIGTERM).want(t, 130)
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
