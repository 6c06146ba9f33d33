package failover

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testpass"
)

// metered counts a register's Gets, in all and by second.
type metered struct {
	register.Register

	mu       sync.Mutex
	n        int
	bySecond map[int64]int
}

func (m *metered) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	m.mu.Lock()
	m.n++
	m.bySecond[time.Now().Unix()]++
	m.mu.Unlock()
	return m.Register.Get(ctx, scope, number)
}

// take returns the count since the last call, and the most in a second.
func (m *metered) take() (n, peak int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.bySecond {
		peak = max(peak, s)
	}
	n, m.n, m.bySecond = m.n, 0, map[int64]int{}
	return n, peak
}

// crowd are many clients, each with a key of its own.
type crowd struct {
	*sim
	clients []*Client

	mu    sync.Mutex
	sent  []int
	acked []map[int]bool
	wg    sync.WaitGroup
}

func (c *crowd) each(f func(i int, cl *Client)) {
	var wg sync.WaitGroup
	for i, cl := range c.clients {
		wg.Go(func() { f(i, cl) })
	}
	wg.Wait()
}

// every is the time from one record of a client to its next.
const every = 3 * time.Second

// produce has every client send records for a while.
func (c *crowd) produce(d time.Duration) {
	c.Helper()
	c.each(func(i int, cl *Client) {
		for range d / every {
			c.mu.Lock()
			n := c.sent[i]
			c.sent[i]++
			c.mu.Unlock()
			c.wg.Add(1)
			cl.Produce(c.Context(), &kgo.Record{Topic: simTopic, Key: fmt.Append(nil, i), Value: fmt.Append(nil, n)}, func(_ *kgo.Record, err error) {
				defer c.wg.Done()
				c.mu.Lock()
				defer c.mu.Unlock()
				if err != nil {
					c.Errorf("%d/%d: %v", i, n, err)
				}
				c.acked[i][n] = true
			})
			pause(c.Context(), every)
		}
	})
}

// within holds that a call has returned when its context has ended.
func (c *crowd) within(d time.Duration, what string, call func(context.Context) error) {
	ctx, cancel := context.WithTimeout(c.Context(), d)
	defer cancel()
	start := time.Now()
	err := call(ctx)
	if took := time.Since(start); took > d {
		c.Errorf("%s took %v, and had %v: %v", what, took, d, err)
	}
}

// check holds that b has what was acked, each once and in order.
func (c *crowd) check() {
	c.Helper()
	next := make([]int, len(c.clients))
	for _, rs := range simRead(c.T, c.b) {
		for _, r := range rs {
			var i, n int
			if _, err := fmt.Sscanf(string(r.Key)+" "+string(r.Value), "%d %d", &i, &n); err != nil {
				c.Fatal(err)
			}
			if n != next[i] {
				c.Errorf("key %d has %d where %d belongs", i, n, next[i])
			}
			next[i] = n + 1
		}
	}
	for i := range c.clients {
		if next[i] != c.sent[i] || len(c.acked[i]) != c.sent[i] {
			c.Errorf("key %d: %d sent, %d acked, %d there", i, c.sent[i], len(c.acked[i]), next[i])
		}
	}
}

// TestThousandClients switch at once: all go on, with nothing lost, doubled or out of order; no
// call outlives its context, nothing is left of them, and they ask the register as often as it says
// in package register's documentation.
func TestThousandClients(t *testing.T) {
	for _, n := range testpass.Few(t, 1, []int{100, 1000}) {
		synctest.Test(t, func(t *testing.T) { manyClients(t, n) })
	}
}

func manyClients(t *testing.T, n int) {
	const poll = 2 * time.Second // of the default lease
	s := newSim(t, 1)
	reg := &metered{Register: s.reg, bySecond: map[int64]int{}}
	c := &crowd{sim: s, sent: make([]int, n), acked: make([]map[int]bool, n)}
	for i := range n {
		c.acked[i] = map[int]bool{}
		pause(t.Context(), s.upTo(2*poll/time.Duration(n)))
		c.clients = append(c.clients, s.client(func(cfg *Config) { cfg.Register, cfg.Replay = reg, &Replay{Every: 15 * time.Second} }, kgo.ProducerLinger(0), kgo.DisableClientMetrics()))
	}
	copying := startCopy(t, s.a, s.b, 1<<30, func() time.Duration { return 300 * time.Millisecond })
	defer copying.end()
	reg.take()
	c.produce(6 * time.Second)
	if gets, peak := reg.take(); gets > 6*n/2+n || peak > n {
		t.Errorf("%d GETs in 6 s, %d in one", gets, peak)
	}
	s.closes("a", "b", false)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		c.produce(3 * time.Second) // waits until somebody is active
	}()
	pause(t.Context(), poll+time.Second)
	c.each(func(i int, cl *Client) {
		record := &kgo.Record{Topic: simTopic, Key: []byte("late"), Value: []byte("0")}
		switch i % 4 {
		case 0:
			c.within(time.Second, "Flush", cl.Flush)
		case 1:
			c.within(time.Second, "Ping", cl.Ping)
		case 2:
			c.within(time.Second, "ProduceSync", func(ctx context.Context) error {
				err := cl.ProduceSync(ctx, record).FirstErr()
				if err == nil {
					t.Error("a record was sent while nobody is active")
				}
				return err
			})
		case 3:
			c.within(time.Second, "PollFetches", func(ctx context.Context) error { return cl.PollFetches(ctx).Err0() })
		}
	})
	pause(t.Context(), 6*time.Second)
	copying.end()
	gets, peak := reg.take()
	t.Logf("closed: %d GETs, at most %d in a second", gets, peak)
	if gets > 32*n || peak > 55*n/10 {
		t.Errorf("closed: %d GETs, %d in a second", gets, peak)
	}
	s.opens("b", "a", "b", false)
	opened := time.Now()
	<-closed
	c.produce(6 * time.Second)
	c.wg.Wait()
	if gets, peak = reg.take(); gets > 10*n/2+3*n || peak > 3*n {
		t.Errorf("opened: %d GETs, %d in a second", gets, peak)
	}
	slowest := time.Duration(0)
	c.each(func(i int, cl *Client) {
		c.within(time.Minute, "Flush", cl.Flush)
		st := cl.Status()
		if st.State != ClientActive || st.Cluster != "b" || st.Last == nil || st.LetGo != 0 {
			t.Errorf("client %d: %+v", i, st)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		slowest = max(slowest, st.Last.Ready.Sub(opened))
	})
	t.Logf("all are ready %v after the epoch opened", slowest)
	if slowest > 5*time.Second {
		t.Error(slowest)
	}
	c.check()
	start := time.Now()
	c.each(func(_ int, cl *Client) { cl.Close() })
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("closing took %v", took)
	}
}
