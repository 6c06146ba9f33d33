package copylock

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const lease = 1500 * time.Millisecond

// process is one that holds locks.
type process struct {
	*Locks
	t    testing.TB
	stop func()
}

func start(t testing.TB, kafka testkafka.Cluster, cfg Config) *process {
	t.Helper()
	cl, err := rawkafka.Connect(t.Context(), kafka.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	p := &process{Locks: New(cl, cfg), t: t}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	p.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(p.stop)
	return p
}

func (p *process) claim(want bool, topics ...kadm.TopicID) {
	p.t.Helper()
	shared, err := p.Claim(p.t.Context(), topics...)
	if err != nil || shared != want {
		p.t.Errorf("claim: shared %v, %v, want %v", shared, err, want)
	}
}

func (p *process) held(topic kadm.TopicID, want error) {
	p.t.Helper()
	if err := p.Held(p.t.Context(), topic); !errors.Is(err, want) {
		p.t.Errorf("held: %v, want %v", err, want)
	}
}

// onBoth runs a test on kfake in simulated time, and on a real Kafka.
func onBoth(t *testing.T, f func(*testing.T, testkafka.Cluster)) {
	t.Run("kfake", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f(t, testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)}))
		})
	})
	t.Run("kafka", func(t *testing.T) { f(t, testkafka.Real(t, testkafka.Options{})) })
}

// TestTakenOver: the newest claim of a topic wins, and waits until the older holder has found out.
// Other topics stay with who has them.
func TestTakenOver(t *testing.T) {
	onBoth(t, func(t *testing.T, kafka testkafka.Cluster) {
		a, b, c := kadm.TopicID{1}, kadm.TopicID{2}, kadm.TopicID{3}
		one, two := start(t, kafka, Config{}), start(t, kafka, Config{})
		one.held(a, ErrNotClaimed)
		one.claim(false, a, b)
		one.held(a, nil)
		one.held(b, nil)
		two.claim(false, c)
		began := time.Now()
		two.claim(true, b)
		if d := time.Since(began); d < lease {
			t.Errorf("taken over in %v: the older may still be at it", d)
		}
		one.held(b, ErrTakenOver)
		one.held(a, nil)
		two.held(b, nil)
		two.held(c, nil)
		one.claim(true, b)
		one.held(b, nil)
		two.held(b, ErrTakenOver)
		two.held(c, nil)
	})
}

// TestNeverTwo: while claims come and go, nobody holds a topic after a later claim was seen to hold
// it: a hole is begun right after Held.
func TestNeverTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		topic := kadm.TopicID{1}
		var mu sync.Mutex
		seen := []int16{-1} // epochs that held it, in order
		holds := func(p *process) bool {
			if p.Held(t.Context(), topic) != nil {
				return false
			}
			p.mu.Lock()
			own := p.topics[topic].own.epoch
			p.mu.Unlock()
			mu.Lock()
			defer mu.Unlock()
			if last := seen[len(seen)-1]; own < last {
				t.Errorf("claim %d holds the topic after %d", own, last)
			} else if own > last {
				seen = append(seen, own)
			}
			return true
		}
		var wg sync.WaitGroup
		for i := range 3 {
			p, rnd := start(t, kafka, Config{}), rand.New(rand.NewPCG(1, uint64(i)))
			wg.Go(func() {
				for range 10 {
					_ = rawkafka.Sleep(t.Context(), time.Duration(rnd.Int64N(int64(8*time.Second))))
					if _, err := p.Claim(t.Context(), topic); err != nil {
						t.Error(err)
					}
					for end := time.Now().Add(6 * time.Second); time.Now().Before(end) && holds(p); {
						_ = rawkafka.Sleep(t.Context(), time.Duration(rnd.Int64N(int64(lease/4))))
					}
				}
			})
		}
		wg.Wait()
		if len(seen) < 10 {
			t.Errorf("only %v held it", seen)
		}
	})
}

// TestCross: two that claim the same topics at the same moment don't end with one each.
func TestCross(t *testing.T) {
	for round := range 10 {
		kafka := testkafka.Fake(t, testkafka.Options{})
		var topics []kadm.TopicID
		for i := range 40 {
			topics = append(topics, kadm.TopicID{byte(i + 1)})
		}
		ps := []*process{start(t, kafka, Config{Lease: 100 * time.Millisecond}), start(t, kafka, Config{Lease: 100 * time.Millisecond})}
		var wg sync.WaitGroup
		for _, p := range ps {
			wg.Go(func() {
				if _, err := p.Claim(t.Context(), topics...); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		held := make([]int, 2)
		for i, p := range ps {
			for _, id := range topics {
				if err := p.Held(t.Context(), id); err == nil {
					held[i]++
				} else if !errors.Is(err, ErrTakenOver) {
					t.Error(err)
				}
			}
		}
		if slices.Max(held) != len(topics) || slices.Min(held) != 0 {
			t.Errorf("round %d: %v of %d topics", round, held, len(topics))
		}
		for _, p := range ps {
			p.stop()
		}
	}
}

// TestDenied: topics whose lock is denied count as held; it is said once, for all of them.
func TestDenied(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	kf := testkafka.Kfake(kafka)
	allowed, first, second := kadm.TopicID{1}, kadm.TopicID{2}, kadm.TopicID{3}
	kf.ControlKey(int16(kmsg.InitProducerID), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		kf.KeepControl()
		req := kreq.(*kmsg.InitProducerIDRequest)
		if *req.TransactionalID == transactionalID(allowed) {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		return resp, nil, true
	})
	p := start(t, kafka, Config{})
	_, err := p.Claim(t.Context(), allowed, first, second)
	var denied *DeniedError
	if !errors.As(err, &denied) || len(denied.Topics) != 2 || !rawkafka.Denies(err) {
		t.Fatalf("got %v", err)
	}
	for _, id := range []kadm.TopicID{allowed, first, second} {
		p.held(id, nil)
	}
}

// TestForgotten: a coordinator that has forgotten an id is told again; a holder doesn't lose the
// topic by it.
func TestForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		kf := testkafka.Kfake(kafka)
		topic := kadm.TopicID{1}
		p := start(t, kafka, Config{})
		p.claim(false, topic)
		var forgotten atomic.Int32
		kf.ControlKey(int16(kmsg.DescribeTransactions), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			if !forgotten.CompareAndSwap(0, 1) {
				return nil, nil, false
			}
			resp := kreq.ResponseKind().(*kmsg.DescribeTransactionsResponse)
			s := kmsg.NewDescribeTransactionsResponseTransactionState()
			s.TransactionalID, s.ErrorCode = transactionalID(topic), kerr.TransactionalIDNotFound.Code
			resp.TransactionStates = append(resp.TransactionStates, s)
			return resp, nil, true
		})
		for range 40 { // 8 s
			p.held(topic, nil)
			_ = rawkafka.Sleep(t.Context(), 200*time.Millisecond)
		}
		if forgotten.Load() != 1 {
			t.Error("it wasn't looked at")
		}
		next := start(t, kafka, Config{})
		next.claim(true, topic)
		p.held(topic, ErrTakenOver)
	})
}

// TestUnseen: a holder that can't look isn't told that it holds; idle topics aren't looked at.
func TestUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Network: new(kfake.VirtualNetwork)})
		kf := testkafka.Kfake(kafka)
		topic := kadm.TopicID{1}
		p := start(t, kafka, Config{})
		p.claim(false, topic)
		var cut atomic.Bool
		var looks atomic.Int32
		kf.ControlKey(int16(kmsg.DescribeTransactions), func(kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			looks.Add(1)
			if cut.Load() {
				return nil, errors.New("cut off"), true
			}
			return nil, nil, false
		})
		p.held(topic, nil)
		_ = rawkafka.Sleep(t.Context(), time.Minute)
		before := looks.Load()
		_ = rawkafka.Sleep(t.Context(), time.Minute)
		if n := looks.Load() - before; n != 0 {
			t.Errorf("%d looks at an idle topic", n)
		}
		p.held(topic, nil)
		cut.Store(true)
		_ = rawkafka.Sleep(t.Context(), 2*lease)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := p.Held(ctx, topic); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("held, though nobody could look: %v", err)
		}
		cut.Store(false)
		p.held(topic, nil)
	})
}
