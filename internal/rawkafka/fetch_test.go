package rawkafka_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/time/rate"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// collector gathers what a Fetcher hands on.
type collector struct {
	mu     sync.Mutex
	next   map[rawkafka.Partition]int64
	failed map[rawkafka.Partition]error
	moved  chan struct{}
	order  []rawkafka.Partition
}

func newCollector() *collector {
	return &collector{next: map[rawkafka.Partition]int64{}, failed: map[rawkafka.Partition]error{}, moved: make(chan struct{}, 1)}
}

func (c *collector) Fetched(_ context.Context, f rawkafka.Fetched) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.Position != c.next[f.Partition] {
		return nil
	}
	for b, err := range batch.All(f.Batches) {
		if err != nil {
			return err
		}
		if b.BaseOffset() > c.next[f.Partition] {
			return errors.New("a gap")
		}
		c.next[f.Partition] = b.EndOffset()
		c.order = append(c.order, f.Partition)
	}
	c.poke()
	return nil
}

func (c *collector) Failed(p rawkafka.Partition, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed[p] = err
	c.poke()
}

func (c *collector) poke() {
	select {
	case c.moved <- struct{}{}:
	default:
	}
}

// until waits for a condition on what was gathered.
func (c *collector) until(t testing.TB, is func() bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		c.mu.Lock()
		ok := is()
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-c.moved:
		case <-timeout:
			t.Fatalf("not so within 20 s: %v %v", c.next, c.failed)
		}
	}
}

// fetch runs a Fetcher until the test ends.
func fetch(t testing.TB, rc *rawkafka.Cluster, cfg rawkafka.FetchConfig) (*rawkafka.Fetcher, *collector) {
	t.Helper()
	c := newCollector()
	f := rawkafka.NewFetcher(rc, cfg, c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		case <-time.After(time.Second):
			t.Error("Run goes on")
		}
	})
	return f, c
}

func all(t testing.TB, rc *rawkafka.Cluster, f *rawkafka.Fetcher, topic string, n int32) []rawkafka.Partition {
	t.Helper()
	var ps []rawkafka.Partition
	for i := range n {
		p := partition(t, rc, topic, i)
		ps = append(ps, p)
		f.Set(p, rawkafka.Position{CurrentEpoch: -1, LastEpoch: -1})
	}
	return ps
}

func TestFetchAllFairly(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(4, "orders"))
	for p := range int32(4) {
		produce(t, c, "orders", p, 50)
	}
	rc := connect(t, c, rawkafka.Config{})
	f, got := fetch(t, rc, rawkafka.FetchConfig{MaxBytes: 400})
	ps := all(t, rc, f, "orders", 4)
	got.until(t, func() bool {
		for _, p := range ps {
			if got.next[p] < 50 {
				return false
			}
		}
		return true
	})
	first := map[rawkafka.Partition]bool{}
	for _, p := range got.order[:60] {
		first[p] = true
	}
	if len(first) != 4 {
		t.Errorf("the first 60 batches are of %d partitions", len(first))
	}
}

func TestFetchFollowsLeaders(t *testing.T) {
	c := fake(t, kfake.NumBrokers(3), kfake.SeedTopics(1, "orders"))
	rc := connect(t, c, rawkafka.Config{})
	f, got := fetch(t, rc, rawkafka.FetchConfig{})
	p := all(t, rc, f, "orders", 1)[0]
	for i := range int64(6) {
		produce(t, c, "orders", 0, 5)
		got.until(t, func() bool { return got.next[p] == (i+1)*5 })
		if err := c.MoveTopicPartition("orders", 0, int32(i+1)%3); err != nil {
			t.Fatal(err)
		}
		got.until(t, func() bool { return errors.Is(got.failed[p], rawkafka.ErrLeaderChanged) })
		got.mu.Lock()
		delete(got.failed, p)
		at := got.next[p]
		got.mu.Unlock()
		f.Set(p, rawkafka.Position{Offset: at, CurrentEpoch: -1, LastEpoch: -1})
	}
}

func TestFetchFailures(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(3, "orders"))
	rc := connect(t, c, rawkafka.Config{RetryFor: 200 * time.Millisecond})
	f, got := fetch(t, rc, rawkafka.FetchConfig{})
	beyond, gone := partition(t, rc, "orders", 0), partition(t, rc, "orders", 1)
	gone.TopicID[3]++
	f.Set(beyond, rawkafka.Position{Offset: 100, CurrentEpoch: -1, LastEpoch: -1})
	f.Set(gone, rawkafka.Position{CurrentEpoch: -1, LastEpoch: -1})
	got.until(t, func() bool { return len(got.failed) == 2 })
	if !errors.Is(got.failed[beyond], kerr.OffsetOutOfRange) || !rawkafka.Unknown(got.failed[gone]) {
		t.Error(got.failed)
	}
}

func TestFetchChecksCRC(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	produce(t, c, "orders", 0, 10)
	rc := connect(t, c, rawkafka.Config{})
	var bad int
	raw := grab(t, rc)
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if bad++; bad <= 2 {
			c.KeepControl()
			return damaged(req.(*kmsg.FetchRequest), raw), nil, true
		}
		return nil, nil, false
	})
	f, got := fetch(t, rc, rawkafka.FetchConfig{})
	p := all(t, rc, f, "orders", 1)[0]
	got.until(t, func() bool { return got.next[p] == 10 })
	if bad < 3 {
		t.Errorf("%d fetches", bad)
	}
}

// grab fetches the topic's bytes.
func grab(t testing.TB, rc *rawkafka.Cluster) []byte {
	t.Helper()
	p := partition(t, rc, "orders", 0)
	broker, _, err := rc.Leader(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrFetchRequest()
	req.SessionEpoch, req.MaxBytes, req.MinBytes = -1, 1<<20, 1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = p.Topic, p.TopicID
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.PartitionMaxBytes = 1 << 20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := rc.Request(t.Context(), broker, req)
	if err != nil {
		t.Fatal(err)
	}
	return resp.(*kmsg.FetchResponse).Topics[0].Partitions[0].RecordBatches
}

func damaged(req *kmsg.FetchRequest, raw []byte) kmsg.Response {
	raw = append([]byte(nil), raw...)
	raw[len(raw)-1] ^= 1
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	st := kmsg.NewFetchResponseTopic()
	st.Topic, st.TopicID = req.Topics[0].Topic, req.Topics[0].TopicID
	sp := kmsg.NewFetchResponseTopicPartition()
	sp.HighWatermark, sp.LastStableOffset, sp.RecordBatches = 10, 10, raw
	st.Partitions = append(st.Partitions, sp)
	resp.Topics = append(resp.Topics, st)
	return resp
}

func TestFetchUntilAndRate(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	produce(t, c, "orders", 0, 20)
	rc := connect(t, c, rawkafka.Config{})
	f, got := fetch(t, rc, rawkafka.FetchConfig{MaxBytes: 400, Limiter: rate.NewLimiter(4000, 100)})
	p := partition(t, rc, "orders", 0)
	at := time.Now()
	f.Set(p, rawkafka.Position{Until: 20, CurrentEpoch: -1, LastEpoch: -1})
	got.until(t, func() bool { return got.next[p] >= 20 })
	if d := time.Since(at); d < 200*time.Millisecond { // some 1 500 bytes at 4 000 a second
		t.Errorf("took %v", d)
	}
}

// TestFetchPaused: nothing is asked for of a paused partition, and it goes on where it is Set.
func TestFetchPaused(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	produce(t, c, "orders", 0, 50)
	rc := connect(t, c, rawkafka.Config{})
	f, got := fetch(t, rc, rawkafka.FetchConfig{MaxWait: 20 * time.Millisecond})
	ps := all(t, rc, f, "orders", 2)
	at := func(p rawkafka.Partition, next int64) func() bool { return func() bool { return got.next[p] == next } }
	got.until(t, at(ps[0], 50))
	f.Pause(ps[0])
	for n := range int64(2) { // the request that was under way is over with the first
		produce(t, c, "orders", 1, 1)
		got.until(t, at(ps[1], n+1))
	}
	produce(t, c, "orders", 0, 10)
	produce(t, c, "orders", 1, 1)
	got.until(t, at(ps[1], 3))
	got.mu.Lock()
	next := got.next[ps[0]]
	got.mu.Unlock()
	if next != 50 {
		t.Errorf("a paused partition was read up to %d", next)
	}
	f.Set(ps[0], rawkafka.Position{Offset: 50, CurrentEpoch: -1, LastEpoch: -1})
	got.until(t, at(ps[0], 60))

	f.Pause(ps[0])
	got.mu.Lock()
	got.next[ps[0]] = 20
	got.mu.Unlock()
	f.Set(ps[0], rawkafka.Position{Offset: 20, CurrentEpoch: -1, LastEpoch: -1})
	got.until(t, at(ps[0], 60))
	f.Pause(ps[0])
	f.Remove(ps[0])
}

// busy has each response until the next fetch request has come to the broker.
type busy struct {
	*collector
	next chan []int32 // the partitions of a request that came while something was handled
	has  atomic.Int32 // the partition whose data is handled; -1: none
	both int          // requests that named it
}

func (h *busy) Fetched(ctx context.Context, f rawkafka.Fetched) error {
	if len(f.Batches) == 0 {
		return nil
	}
	h.has.Store(f.Partition.Partition)
	select {
	case asked := <-h.next:
		if slices.Contains(asked, f.Partition.Partition) {
			h.both++
		}
	case <-ctx.Done():
	}
	h.has.Store(-1)
	return h.collector.Fetched(ctx, f)
}

// TestFetchInTurn: what the handler has data of isn't asked for, others are.
func TestFetchInTurn(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	produce(t, c, "orders", 0, 20)
	rc := connect(t, c, rawkafka.Config{})
	h := &busy{collector: newCollector(), next: make(chan []int32, 1)}
	h.has.Store(-1)
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		var asked []int32
		for _, p := range req.(*kmsg.FetchRequest).Topics[0].Partitions {
			asked = append(asked, p.Partition)
		}
		if h.has.Load() >= 0 {
			select {
			case h.next <- asked:
			default:
			}
		}
		return nil, nil, false
	})
	f := rawkafka.NewFetcher(rc, rawkafka.FetchConfig{MaxBytes: 400, MaxWait: 20 * time.Millisecond, InTurn: true}, h)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	ps := all(t, rc, f, "orders", 2)
	h.until(t, func() bool { return h.collector.next[ps[0]] == 20 })
	cancel()
	<-done
	if h.both > 0 {
		t.Errorf("%d requests named what was being handled", h.both)
	}
}

// rereads has partition 0's data until the request behind it has come, and reads again where
// something overtook what is missing, as the jobs do.
type rereads struct {
	*collector
	asked chan struct{}
	again func(p rawkafka.Partition, offset int64)
}

func (h *rereads) Fetched(ctx context.Context, f rawkafka.Fetched) error {
	if f.Partition.Partition == 0 && len(f.Batches) > 0 {
		select {
		case <-h.asked:
		case <-ctx.Done():
		}
	}
	h.mu.Lock()
	next := h.next[f.Partition]
	h.mu.Unlock()
	if f.Position > next {
		h.again(f.Partition, next)
		return nil
	}
	return h.collector.Fetched(ctx, f)
}

// TestFetchDamageIsFinal: a damaged batch is read a few times and then given up, though what is
// behind it was asked for before it was found.
func TestFetchDamageIsFinal(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	produce(t, c, "orders", 0, 10)
	rc := connect(t, c, rawkafka.Config{})
	raw := grab(t, rc)
	produce(t, c, "orders", 1, 20)
	h := &rereads{collector: newCollector(), asked: make(chan struct{})}
	first := make(chan struct{}) // closed once 0 is asked for; its data comes with 1's, and before it
	var reads, behind int
	c.ControlKey(int16(kmsg.Fetch), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		req := kreq.(*kmsg.FetchRequest)
		resp := damaged(req, raw).(*kmsg.FetchResponse)
		bad := resp.Topics[0].Partitions[0]
		resp.Topics[0].Partitions = nil
		if reads == 0 && len(req.Topics[0].Partitions) == 1 {
			select {
			case <-first:
			default:
				close(first)
			}
			return resp, nil, true
		}
		for _, p := range req.Topics[0].Partitions {
			switch {
			case p.Partition == 1 && p.FetchOffset == 0:
				reads++
				damage := bad
				damage.Partition = 1
				resp.Topics[0].Partitions = append(resp.Topics[0].Partitions, damage)
			case p.Partition == 1:
				if behind++; behind == 1 {
					close(h.asked)
				}
				return nil, nil, false
			case p.FetchOffset == 0:
				good := bad
				good.RecordBatches = raw
				resp.Topics[0].Partitions = append(resp.Topics[0].Partitions, good)
			}
		}
		return resp, nil, true
	})
	f := rawkafka.NewFetcher(rc, rawkafka.FetchConfig{MaxWait: 20 * time.Millisecond, Linger: time.Millisecond}, h)
	rereads := 0
	h.again = func(p rawkafka.Partition, offset int64) {
		rereads++
		f.Set(p, rawkafka.Position{Offset: offset, CurrentEpoch: -1, LastEpoch: -1})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	ps := all(t, rc, f, "orders", 1)
	<-first
	ps = append(ps, partition(t, rc, "orders", 1))
	f.Set(ps[1], rawkafka.Position{CurrentEpoch: -1, LastEpoch: -1})
	h.until(t, func() bool { return h.failed[ps[1]] != nil })
	cancel()
	<-done
	if rereads > 0 || reads != 5 || h.collector.next[ps[1]] != 0 {
		t.Errorf("read %d times, and anew %d times; %d records came", reads, rereads, h.collector.next[ps[1]])
	}
}
