package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// realConfig restores s onto a real Kafka that tests share.
func realConfig(t testing.TB, s *storage.Snapshot) (Config, testkafka.Cluster) {
	t.Helper()
	cl := pool.Real(t, testkafka.Options{})
	return Config{Target: cl.Opts(), Snapshot: s}, cl
}

// As on kfake, on a real broker.
func TestRealRandomHistories(t *testing.T) {
	for seed := range uint64(2) {
		r := rand.New(rand.NewPCG(seed, 3))
		topics := randomTopics(t, r, "real-a", "real-b", "real-Orders", "real-orders")
		f := opstest.RandomFilter(r)
		cfg, cl := realConfig(t, fakeArchive(t, nil, topics...))
		cfg.Until, cfg.Edit, cfg.Prefix = f.Until, f.Edit, fmt.Sprintf("p%d.", seed)
		f.MaxBatch = 0
		restored(t, cfg)
		for i := range topics {
			topics[i].name = cfg.Prefix + topics[i].name
		}
		checkTopics(t, cl, f, topics...)
		p, err := NewPlan(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Conflicts) > 0 || p.Records != 0 {
			t.Errorf("a complete target: %d records to do, conflicts %v", p.Records, p.Conflicts)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// A broker that looks for expired records every 3 s deletes none of those that were held, and all
// of them once they are released.
func TestRealHoldAndRelease(t *testing.T) {
	cl := pool.Real(t, testkafka.Options{})
	c := connectTo(t, cl)
	expired := func(topic string) {
		meta, err := c.Topics(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		p := rawkafka.Partition{Topic: topic, TopicID: meta[topic].ID}
		testkafka.Eventually(t, 2*time.Minute, func(ctx context.Context) error {
			start, err := one(ctx, c, p, rawkafka.Earliest, rawkafka.Consumer)
			if err == nil && start == 0 {
				err = errors.New("nothing has expired")
			}
			return err
		})
	}
	looked := func() { // the broker deletes what isn't held
		ms := "1000"
		testkafka.Create(t, cl, 1, 1, map[string]*string{"retention.ms": &ms}, "expires")
		old := &kgo.Record{Topic: "expires", Timestamp: time.UnixMilli(1000), Value: []byte("x")}
		if err := testkafka.Client(t, cl).ProduceSync(t.Context(), old).FirstErr(); err != nil {
			t.Fatal(err)
		}
		expired("expires")
	}
	testHoldAndRelease(t, func(s *storage.Snapshot) (Config, testkafka.Cluster) { return realConfig(t, s) }, looked)
	expired("hold-expired")
}

// A batch that is longer than any request that the target takes is refused by the plan.
func TestRealTooLarge(t *testing.T) {
	rec := &kgo.Record{Timestamp: time.UnixMilli(1), Value: bytes.Repeat([]byte("0123456789"), 300_000)}
	raw, err := batch.Append(nil, 0, kgo.NoCompression(), rec)
	if err != nil {
		t.Fatal(err)
	}
	s := fakeArchive(t, nil, fakeTopic{name: "large", partitions: []opstest.History{{End: 1, Batches: []opstest.Batch{{Raw: raw}}}}})
	cl := testkafka.Real(t, testkafka.Options{Configs: map[string]string{"socket.request.max.bytes": "2000000"}})
	p, err := NewPlan(t.Context(), Config{Target: cl.Opts(), Snapshot: s})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Conflicts) != 1 || p.Conflicts[0].Kind != "too_large" {
		t.Errorf("conflicts %v, want too_large", p.Conflicts)
	}
}

// A target whose authorizer denies ClusterAction takes everything, the weaker way, and the plan
// says so. One that denies more says what.
func TestRealWithoutClusterAction(t *testing.T) {
	cl := testkafka.Real(t, testkafka.Options{Secure: true}).(testkafka.Secured)
	cl.CreateUser(t, "restorer", "restorer-secret")
	topics := randomTopics(t, rand.New(rand.NewPCG(4, 4)), "sec-a", "sec-b")
	topics[0].partitions = append(topics[0].partitions, plain(t, 70, 3, 3))
	cfg := Config{Target: cl.UserOpts("restorer", "restorer-secret"), Snapshot: fakeArchive(t, withGroup("g", 0, 3), topics...), Groups: true}
	if _, err := NewPlan(t.Context(), cfg); err == nil || strings.Contains(err.Error(), "restorer-secret") {
		t.Errorf("a plan without any right: %v", err)
	}
	testkafka.Allow(t, cl, "restorer", kadm.NewACLs().Topics("*").Groups("*").TransactionalIDs("*").
		Operations(kadm.OpAll))
	testkafka.Allow(t, cl, "restorer", kadm.NewACLs().Clusters().Operations(kadm.OpDescribe, kadm.OpDescribeConfigs))
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if p.HoleMethod != "transactions" || !strings.Contains(strings.Join(p.Warnings, "\n"), "ClusterAction") {
		t.Errorf("hole method %s, warnings %q", p.HoleMethod, p.Warnings)
	}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkTopics(t, cl, copyops.Filter{}, topics...)
}

// Brokers are killed and leaders moved while three brokers take a restore: nothing is lost, doubled
// or moved.
func TestRealBrokersKilledAndLeadersMoved(t *testing.T) {
	cl := pool.Real(t, testkafka.Options{Brokers: 3})
	ft := fakeTopic{name: "disturbed", rf: 3, configs: map[string]string{"min.insync.replicas": "2"}}
	for p := range int64(6) {
		ft.partitions = append(ft.partitions, holey(t, p*10, 150))
	}
	var late atomic.Bool
	cfg := Config{Target: cl.Opts(), Snapshot: fakeArchive(t, nil, ft), MaxBytesPerSecond: 300_000}
	cfg.Hooks.OnProgress = func(s Status) { late.Store(s.Bytes > s.TotalBytes*3/4) }
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Conflicts) > 0 {
		t.Fatal(p.Conflicts)
	}
	var wg sync.WaitGroup
	done := make(chan error, 1)
	wg.Go(func() {
		_, err := p.Run(t.Context())
		done <- err
	})
	disturb(t, cl, done, &late)
	wg.Wait()
	checkTopics(t, cl, copyops.Filter{}, ft)
}

// disturb kills and stops brokers and moves leaders until the run is done. When it is late none is
// killed any more: what that one forgets of log starts, nobody would tell it.
func disturb(t *testing.T, cl testkafka.Cluster, done <-chan error, late *atomic.Bool) {
	t.Helper()
	brokers := cl.Brokers()
	n := 0
	for ; len(done) == 0; n++ {
		b := brokers[n%len(brokers)]
		switch n % 3 {
		case 0:
			if late.Load() {
				continue
			}
			cl.Kill(t, b)
			cl.Start(t, b)
		case 1:
			cl.Stop(t, b)
			cl.Start(t, b)
		case 2:
			cl.MoveLeader(t, "disturbed", int32(n%6), b)
		}
		testkafka.InSync(t, cl) // else two are away at once, and with them what may not be
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d disturbances", n)
	if n < 6 {
		t.Error("too few disturbances")
	}
}

// holey is a history with a control record between any two batches, and some batches larger.
func holey(t testing.TB, base int64, batches int) opstest.History {
	t.Helper()
	h := opstest.History{Start: base, End: base}
	for i := range batches {
		value := bytes.Repeat([]byte("x"), 1+i%3*4000)
		var rs []*kgo.Record
		for k := range int64(5) {
			rs = append(rs, &kgo.Record{Offset: h.End + k, Timestamp: time.UnixMilli(int64(i)), Value: value})
		}
		raw, err := batch.Append(nil, h.End, kgo.NoCompression(), rs...)
		if err != nil {
			t.Fatal(err)
		}
		h.Batches = append(h.Batches, opstest.Batch{Raw: raw})
		h.End += 5 + int64(i%2)
	}
	return h
}

// Two restores at once, with holes, on a real broker: one of them completes.
func TestRealTwoAtOnce(t *testing.T) {
	cl := pool.Real(t, testkafka.Options{})
	ft := fakeTopic{name: "two", partitions: []opstest.History{holey(t, 0, 100), holey(t, 30, 100)}}
	cfg := Config{Target: cl.Opts(), Snapshot: fakeArchive(t, nil, ft)}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() { errs[i] = attempt(t.Context(), cfg) })
	}
	wg.Wait()
	if errs[0] != nil && errs[1] != nil {
		t.Fatal(errs)
	}
	if err := errors.Join(errs...); err != nil && !errors.Is(err, ErrTakenOver) {
		t.Fatal(err)
	}
	checkTopics(t, cl, copyops.Filter{}, ft)
}

// TestRealLogStartForgotten: a broker that is killed soon after a restore begins its logs at 0
// again, as it hasn't written down yet where they start. A second run moves that, and nothing else.
func TestRealLogStartForgotten(t *testing.T) {
	cl := testkafka.Real(t, testkafka.Options{Configs: map[string]string{"log.flush.start.offset.checkpoint.interval.ms": "3600000"}})
	ft := fakeTopic{name: "forgotten", partitions: []opstest.History{holey(t, 40, 20), holey(t, 0, 3)}}
	cfg := Config{Target: cl.Opts(), Snapshot: fakeArchive(t, nil, ft)}
	restored(t, cfg)
	checkTopics(t, cl, copyops.Filter{}, ft)
	for _, b := range cl.Brokers() {
		cl.Kill(t, b)
		cl.Start(t, b)
	}
	if _, start, _ := onTarget(t, connectTo(t, cl), ft.name, 0); start != 0 {
		t.Errorf("the log starts at %d, want 0: the broker has written it down", start)
	}
	if res := restored(t, cfg); res.Records != 0 {
		t.Errorf("%d records were produced again", res.Records)
	}
	checkTopics(t, cl, copyops.Filter{}, ft)
}
