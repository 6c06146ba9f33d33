package restore

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/storage"
)

// crashTopics have holes in all places, a log start above 0, and a compacted one.
func crashTopics(t testing.TB) []fakeTopic {
	t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	topics := randomTopics(t, r, "a", "b")
	topics = append(topics,
		fakeTopic{name: "c", partitions: []opstest.History{plain(t, 300, 6, 3)}, configs: map[string]string{"cleanup.policy": "compact"}},
		fakeTopic{name: "d", partitions: []opstest.History{{}}},
	)
	return topics
}

// points are the operations to fail: all, or a seeded choice.
func points(t *testing.T, n int) []int {
	t.Helper()
	const some, few = 60, 12
	all := rand.New(rand.NewPCG(1, 1)).Perm(n)
	if os.Getenv("KAFKADR_LONG") == "" && n > some {
		all = all[:some]
	}
	return testpass.Few(t, few, all)
}

// attempt plans and runs once.
func attempt(ctx context.Context, cfg Config) error {
	p, err := NewPlan(ctx, cfg)
	if err != nil {
		return err
	}
	_, err = p.Run(ctx)
	return err
}

// checkSoFar: whatever happened, what the target holds is the beginning of what it shall hold.
func checkSoFar(t *testing.T, cl testkafka.Cluster, topics ...fakeTopic) {
	t.Helper()
	there, err := admin(t, cl).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := connectTo(t, cl)
	for _, ft := range topics {
		if !there.Has(ft.name) {
			continue
		}
		for p, h := range ft.partitions {
			want, _ := opstest.Expected(t, h, copyops.Filter{})
			got, _, end := onTarget(t, c, ft.name, int32(p))
			for _, g := range got {
				if g.Offset < h.Start {
					continue // filler
				}
				if g.Offset >= h.End || g != want[g.Offset-h.Start] {
					t.Fatalf("%s/%d: %v at %d of %d", ft.name, p, g, g.Offset, end)
				}
			}
		}
	}
}

// The process dies at each request it sends to the target, whether or not it takes effect: the next
// one completes the restore.
func TestCrashAtEveryRequest(t *testing.T) {
	topics := crashTopics(t)
	s := fakeArchive(t, withGroup("g", 0, 3), topics...)
	run := func(die int, before bool) int {
		cfg, cl := fakeConfig(t, s)
		cfg.Groups = true
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var n atomic.Int64
		k := testkafka.Kfake(cl)
		k.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
			k.KeepControl()
			if int(n.Add(1)) != die {
				return nil, nil, false
			}
			cancel()
			return nil, errors.New("cut off"), before
		})
		err := attempt(ctx, cfg)
		total := int(n.Add(1<<30) - 1<<30)
		if err != nil && ctx.Err() == nil {
			t.Fatalf("request %d: %v", die, err)
		}
		if err != nil {
			checkSoFar(t, cl, topics...)
			if err := attempt(t.Context(), cfg); err != nil {
				t.Fatalf("request %d (%v): again: %v", die, before, err)
			}
		}
		checkTopics(t, cl, copyops.Filter{}, topics...)
		return total
	}
	total := run(0, false)
	t.Logf("%d requests", total)
	for _, i := range points(t, total) {
		run(i+1, i%2 == 0)
		if t.Failed() {
			t.Fatalf("request %d", i+1)
		}
	}
}

// The store fails at each operation, for good or once: the run fails with its error or completes,
// and another completes it.
func TestStoreFailsAtEveryOperation(t *testing.T) {
	topics := crashTopics(t)
	_, inner := fakeBucket(t, nil, topics...)
	run := func(rule faultbucket.Rule) int {
		bucket, faults := faultbucket.New(inner)
		defer func() { _ = bucket.Close() }()
		faults.Set(rule)
		cl := testkafka.Fake(t, testkafka.Options{})
		once := func() error {
			a, err := storage.Open(t.Context(), bucket, storage.Config{ReadOnly: true, Retries: -1})
			if err != nil {
				return err
			}
			s, err := a.Latest(t.Context(), nil)
			if err != nil {
				return err
			}
			return attempt(t.Context(), Config{Target: cl.Opts(), Snapshot: s, quiet: 10 * time.Millisecond})
		}
		err := once()
		n := len(faults.Ops())
		if err != nil {
			checkSoFar(t, cl, topics...)
			faults.Set(nil)
			if err := once(); err != nil {
				t.Fatal(err)
			}
		}
		checkTopics(t, cl, copyops.Filter{}, topics...)
		return n
	}
	total := run(nil)
	t.Logf("%d operations", total)
	for _, i := range points(t, total) {
		kinds := []faultbucket.Fault{faultbucket.Before, faultbucket.After, faultbucket.Cut, faultbucket.Short}
		run(faultbucket.From(i+1, kinds[i%len(kinds)]))
		run(faultbucket.At(i+1, kinds[(i+1)%len(kinds)]))
		if t.Failed() {
			t.Fatalf("operation %d", i+1)
		}
	}
}

// A request of each kind is refused or cut off, once in a while: the run itself goes on and
// completes.
func TestRunSurvivesFaultsOfTheTarget(t *testing.T) {
	topics := crashTopics(t)
	s := fakeArchive(t, nil, topics...)
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.WriteTxnMarkers, kmsg.ListOffsets, kmsg.Fetch, kmsg.DescribeProducers, kmsg.InitProducerID} {
		t.Run(key.Name(), func(t *testing.T) {
			cfg, cl := fakeConfig(t, s)
			p, err := NewPlan(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			k := testkafka.Kfake(cl)
			n := 0
			k.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
				k.KeepControl()
				if n++; n%5 == 2 {
					return nil, errors.New("cut off"), true
				}
				return nil, nil, false
			})
			if _, err := p.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkTopics(t, cl, copyops.Filter{}, topics...)
		})
	}
}

// Two restores of the same snapshot at once do no harm: the later one takes topics with holes over,
// and completes them; what has no holes both complete.
func TestTwoAtOnce(t *testing.T) {
	for seed := range uint64(8) {
		topics := randomTopics(t, rand.New(rand.NewPCG(seed, 5)), "a", "b", "c")
		if seed%2 == 0 {
			topics = []fakeTopic{{name: "a", partitions: []opstest.History{plain(t, 0, 50, 2), plain(t, 9, 50, 2)}}}
		}
		cfg, cl := fakeConfig(t, fakeArchive(t, nil, topics...))
		cfg.quiet = 500 * time.Millisecond
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			wg.Go(func() { errs[i] = attempt(t.Context(), cfg) })
		}
		wg.Wait()
		switch {
		case errs[0] != nil && errs[1] != nil, seed%2 == 0 && errors.Join(errs...) != nil:
			t.Fatal(seed, errs)
		case errs[0] != nil && !errors.Is(errs[0], ErrTakenOver), errs[1] != nil && !errors.Is(errs[1], ErrTakenOver):
			t.Fatal(seed, errs)
		}
		checkTopics(t, cl, copyops.Filter{}, topics...)
	}
}

// A target that denies ClusterAction gets its holes by transactions; the plan says that this is
// weaker.
func TestHolesByTransactions(t *testing.T) {
	topics := crashTopics(t)
	cfg, cl := fakeConfig(t, fakeArchive(t, nil, topics...))
	k := testkafka.Kfake(cl)
	k.ControlKey(int16(kmsg.WriteTxnMarkers), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		return denyMarkers(kreq.(*kmsg.WriteTxnMarkersRequest)), nil, true
	})
	p, err := NewPlan(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if p.HoleMethod != "transactions" {
		t.Fatalf("hole method %s", p.HoleMethod)
	}
	if diff := cmp.Diff([]Conflict{}, p.Conflicts); diff != "" {
		t.Fatal(diff)
	}
	if _, err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkTopics(t, cl, copyops.Filter{}, topics...)
}

func denyMarkers(req *kmsg.WriteTxnMarkersRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	for _, m := range req.Markers {
		rm := kmsg.NewWriteTxnMarkersResponseMarker()
		rm.ProducerID = m.ProducerID
		for _, mt := range m.Topics {
			rt := kmsg.NewWriteTxnMarkersResponseMarkerTopic()
			rt.Topic = mt.Topic
			for _, p := range mt.Partitions {
				rp := kmsg.NewWriteTxnMarkersResponseMarkerTopicPartition()
				rp.Partition, rp.ErrorCode = p, kerr.ClusterAuthorizationFailed.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			rm.Topics = append(rm.Topics, rt)
		}
		resp.Markers = append(resp.Markers, rm)
	}
	return resp
}
