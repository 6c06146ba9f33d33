package failover

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/internal/lease"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/internal/testpass"
)

// simRuns are the seeds of a test's random schedules.
func simRuns(t *testing.T, usual, long int) []uint64 {
	t.Helper()
	n := usual
	switch {
	case os.Getenv("KAFKADR_LONG") != "":
		n = long
	case testing.Short():
		n = usual / 5
	}
	t.Logf("KAFKADR_LONG=1 runs %d schedules", long)
	return testpass.Few(t, usual/4, testpass.Seeds(n))
}

// simTopic has two partitions on both clusters of a simulation.
const (
	simTopic      = "t"
	simPartitions = 2
)

// sim is two clusters in a bubble of simulated time, an exact copy from a to b, a register, and
// dice.
type sim struct {
	*testing.T
	*rand.Rand
	a, b testkafka.Cluster
	nets map[string]*kfake.VirtualNetwork
	reg  register.Register
	deaf atomic.Bool // the client hears nothing from a any more; a hears it
}

func newSim(t *testing.T, seed uint64) *sim {
	t.Helper()
	s := &sim{T: t, Rand: rand.New(rand.NewPCG(seed, 1)), reg: register.NewMemory(), nets: map[string]*kfake.VirtualNetwork{}}
	for name, cl := range map[string]*testkafka.Cluster{"a": &s.a, "b": &s.b} {
		s.nets[name] = &kfake.VirtualNetwork{}
		*cl = testkafka.Fake(t, testkafka.Options{Network: s.nets[name]})
		if _, err := kadm.NewClient(testkafka.Client(t, *cl)).CreateTopic(t.Context(), simPartitions, 1, nil, simTopic); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *sim) cluster(name string) testkafka.Cluster {
	if name == "a" {
		return s.a
	}
	return s.b
}

func (s *sim) opts(name string) []kgo.Opt {
	inner := testkafka.DialVirtual(s.nets[name])
	dial := func(ctx context.Context, network, host string) (net.Conn, error) {
		c, err := inner(ctx, network, host)
		if err == nil && name == "a" {
			c = &deafConn{c, &s.deaf}
		}
		return c, err
	}
	return append(s.cluster(name).Opts(), kgo.Dialer(dial))
}

type deafConn struct {
	net.Conn
	deaf *atomic.Bool
}

func (c *deafConn) Read(p []byte) (int, error) {
	for lost := false; ; {
		n, err := c.Conn.Read(p)
		if lost = lost || c.deaf.Load(); err != nil || !lost {
			return n, err
		}
	}
}

func (s *sim) client(change func(*Config), opts ...kgo.Opt) *Client {
	s.Helper()
	cfg := Config{
		Clusters: []Cluster{{Name: "a", Opts: s.opts("a"), ID: s.a.ID()}, {Name: "b", Opts: s.opts("b"), ID: s.b.ID()}},
		Register: s.reg, Opts: opts, tuning: clientTuning{clock: lease.Go},
	}
	if change != nil {
		change(&cfg)
	}
	begin(s, cfg)
	c, err := NewClient(s.Context(), cfg)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(c.Close)
	return c
}

// upTo is a random time below d, never a round one: nothing else happens at the same instant.
func (s *sim) upTo(d time.Duration) time.Duration { return time.Duration(s.Int64N(int64(d))) | 1 }

func pause(ctx context.Context, d time.Duration) { _ = rawkafka.Sleep(ctx, d) }

func (s *sim) advance(next register.Epoch) {
	s.Helper()
	last, err := register.Latest(s.Context(), s.reg, "default")
	if err == nil {
		_, err = register.Advance(s.Context(), s.reg, last, next)
	}
	if err != nil {
		s.Fatal(err)
	}
}

func (s *sim) closes(from, to string, planned bool) {
	s.advance(register.Epoch{From: from, Target: to, Switch: from + to, By: "test", Planned: planned})
}

// opens ends a switch, with the ends of the cluster that becomes active as forks.
func (s *sim) opens(active, from, to string, planned bool) {
	s.Helper()
	e := register.Epoch{Active: active, From: from, Target: to, Switch: from + to, By: "test", Planned: planned && active == to}
	for p, end := range ends(s.T, s.cluster(active)) {
		e.Forks = append(e.Forks, register.Fork{Topic: simTopic, Partition: int32(p), Offset: end})
	}
	s.advance(e)
}

func ends(t *testing.T, cl testkafka.Cluster) []int64 {
	t.Helper()
	c, err := kgo.NewClient(cl.Opts()...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	os, err := kadm.NewClient(c).ListEndOffsets(t.Context(), simTopic)
	if err != nil {
		t.Fatal(err)
	}
	es := make([]int64, simPartitions)
	os.Each(func(o kadm.ListedOffset) { es[o.Partition] = o.Offset })
	return es
}

// simRead is a cluster's records by partition.
func simRead(t *testing.T, cl testkafka.Cluster) [][]*kgo.Record {
	t.Helper()
	by, left := make([][]*kgo.Record, simPartitions), int64(0)
	for _, end := range ends(t, cl) {
		left += end
	}
	c, err := kgo.NewClient(append(cl.Opts(), kgo.ConsumeTopics(simTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for left > 0 {
		fs := c.PollFetches(t.Context())
		if err := fs.Err0(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) { by[r.Partition] = append(by[r.Partition], r); left-- })
	}
	return by
}

// copier copies one cluster's topic to another, at the same offsets, up to a number of records.
type copier struct {
	stop context.CancelFunc
	done chan struct{}
}

func startCopy(t *testing.T, from, to testkafka.Cluster, most int, every func() time.Duration) *copier {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	at := map[int32]kgo.Offset{}
	for p, end := range ends(t, to) {
		at[int32(p)] = kgo.NewOffset().At(end)
	}
	in, err := kgo.NewClient(append(from.Opts(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{simTopic: at}))...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := kgo.NewClient(append(to.Opts(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	c := &copier{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		defer in.Close()
		defer out.Close()
		for n := 0; n < most; {
			for _, r := range in.PollRecords(ctx, 1+most/10).Records() {
				if ctx.Err() != nil || n == most {
					return
				}
				at := r.Offset
				// Without its context: what is begun is ended before stop returns.
				switch err := out.ProduceSync(context.Background(), &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}).FirstErr(); {
				case err != nil:
					t.Error(err)
					return
				case r.Offset != at:
					panic("unreachable")
				}
				n++
			}
			if ctx.Err() != nil {
				return
			}
			pause(ctx, every())
		}
	}()
	return c
}

// end stops copying: nothing is appended once it has returned.
func (c *copier) end() {
	c.stop()
	<-c.done
}

// load is an application: it numbers the records of each key, and notes what becomes of them.
type load struct {
	c    *Client
	keys int

	mu    sync.Mutex
	sent  []int // by key
	acked map[string]position
	errs  map[string]error
	calls map[string]int
	wg    sync.WaitGroup
}

type position struct {
	partition int32
	offset    int64
}

func newLoad(c *Client, keys int) *load {
	return &load{c: c, keys: keys, sent: make([]int, keys), acked: map[string]position{}, errs: map[string]error{}, calls: map[string]int{}}
}

// produce sends the next record of a key.
func (l *load) produce(ctx context.Context, key int) {
	l.mu.Lock()
	n := l.sent[key]
	l.sent[key]++
	l.mu.Unlock()
	value := fmt.Sprintf("%d/%d", key, n)
	l.wg.Add(1)
	buf := []byte(value)
	r := &kgo.Record{Topic: simTopic, Key: fmt.Append(nil, key), Value: buf}
	cancel := func() {}
	if n%3 == 1 {
		r.Context, cancel = context.WithCancel(ctx) // another one than it is given with: it flies with no others
	}
	l.c.Produce(ctx, r, func(r *kgo.Record, err error) {
		defer l.wg.Done()
		cancel()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.calls[value]++
		if err != nil {
			l.errs[value] = err
			return
		}
		l.acked[value] = position{r.Partition, r.Offset}
		clear(buf) // it is the caller's again
	})
}

// check compares with what a cluster has: per key in order and once, all that was acked, and no
// more than was sent.
func (l *load) check(t *testing.T, cl testkafka.Cluster) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	next := make([]int, l.keys)
	there := map[string]position{}
	for _, rs := range simRead(t, cl) {
		for _, r := range rs {
			var key, n int
			if _, err := fmt.Sscanf(string(r.Value), "%d/%d", &key, &n); err != nil {
				t.Fatalf("%s/%d at %d: %q", r.Topic, r.Partition, r.Offset, r.Value)
			}
			if _, ok := there[string(r.Value)]; ok {
				t.Errorf("%s is there twice", r.Value)
			} else if n < next[key] {
				t.Errorf("%s comes after %d/%d", r.Value, key, next[key]-1)
			}
			next[key] = n + 1
			there[string(r.Value)] = position{r.Partition, r.Offset}
		}
	}
	for value := range l.acked {
		if _, ok := there[value]; !ok {
			t.Errorf("%s was acked, and isn't there", value)
		}
	}
	for value, n := range l.calls {
		if n != 1 {
			t.Errorf("%s: %d promises", value, n)
		}
	}
}

// inBubble runs a simulation of a seed.
func inBubble(t *testing.T, seed uint64, f func(*sim)) {
	t.Run(fmt.Sprint(seed), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(newSim(t, seed)) })
	})
}
