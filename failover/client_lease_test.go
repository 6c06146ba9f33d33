package failover

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/failover/internal/lease"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// fenceWorld is what a client lives in whose machine is suspended, whose clock jumps, and whose
// register fails, answers late, or answers what was true a while ago.
type fenceWorld struct {
	*sim
	register.Register
	scope string

	mu        sync.Mutex
	suspended time.Duration // in all: the others' clocks have seen it
	wall      time.Duration // what the wall clock was set by
	out, slow bool
	reads     []confirmation
	produced  int
	idle      bool
}

// confirmation is a read that found an epoch to be the last.
type confirmation struct {
	active string
	begun  time.Duration
}

var simBegin = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // a bubble's

// now is the time outside of the machine.
func (w *fenceWorld) now() time.Duration { return time.Since(simBegin) + w.suspended }

func (w *fenceWorld) clock() lease.Instant {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := lease.Go()
	i.Wall = i.Wall.Add(w.suspended + w.wall)
	i.Boot = w.now()
	return i
}

func (w *fenceWorld) Get(ctx context.Context, scope string, n int64) (register.Epoch, error) {
	w.mu.Lock()
	out, slow, begun := w.out, w.slow, w.now()
	w.mu.Unlock()
	late := time.Duration(0)
	if slow {
		w.mu.Lock()
		late = w.upTo(6 * time.Second)
		w.mu.Unlock()
	}
	if out {
		return register.Epoch{}, errors.New("an outage")
	}
	e, err := w.Register.Get(ctx, scope, n)
	if late > 0 { // what was read is old when it arrives
		if pause(ctx, late); ctx.Err() != nil {
			return register.Epoch{}, ctx.Err()
		}
	}
	if errors.Is(err, register.ErrNoEpoch) && n > 1 {
		last, _ := w.Register.Get(ctx, scope, n-1)
		w.mu.Lock()
		w.reads = append(w.reads, confirmation{last.Active, begun})
		w.mu.Unlock()
	}
	return e, err
}

// observe fails the test where a write arrives that no read allows.
func (w *fenceWorld) observe(cluster string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.idle {
		return
	}
	w.produced++
	now := w.now()
	for _, r := range w.reads {
		if r.active == cluster && now-r.begun <= lease.Default {
			return
		}
	}
	w.Errorf("%s: a write on %s at %v, outside of the lease: %v", w.scope, cluster, now, w.reads[max(0, len(w.reads)-5):])
}

// TestClientLeaseSchedules suspends the machine, sets its clock, and has the register fail or
// answer late, while somebody switches to and fro: no record reaches a broker outside of the lease,
// no epoch goes back.
func TestClientLeaseSchedules(t *testing.T) {
	const each = 20
	for _, seed := range simRuns(t, 100/each, 1000/each) {
		synctest.Test(t, func(t *testing.T) {
			s := newSim(t, seed)
			written := 0
			for n := range each {
				written += s.fenceSchedule(fmt.Sprintf("s%d", n))
			}
			if written < each {
				t.Errorf("%d writes in %d schedules of seed %d", written, each, seed)
			}
		})
	}
}

func (s *sim) fenceSchedule(scope string) int {
	w := &fenceWorld{sim: s, Register: s.reg, scope: scope}
	for _, name := range []string{"a", "b"} {
		k := testkafka.Kfake(s.cluster(name))
		k.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			k.KeepControl()
			w.observe(name)
			return nil, nil, false
		})
	}
	c := s.client(func(cfg *Config) {
		cfg.Register, cfg.Scope, cfg.tuning.clock = w, scope, w.clock
		cfg.MaxWait = 5 * time.Second
	}, kgo.ProducerLinger(0))
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { w.switches(ctx) })
	wg.Go(func() { w.disturb(ctx) })
	wg.Go(func() { w.epochsGrow(ctx, c) })
	for ctx.Err() == nil {
		c.TryProduce(ctx, &kgo.Record{Topic: simTopic, Value: []byte("x")}, nil)
		w.mu.Lock()
		d := w.upTo(500 * time.Millisecond)
		w.mu.Unlock()
		pause(ctx, d)
	}
	wg.Wait()
	c.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = true
	return w.produced
}

// switches waits the lease out, by the time outside, and goes to the other cluster, or back.
func (w *fenceWorld) switches(ctx context.Context) {
	active, other := "a", "b"
	for {
		w.roll(ctx, 20*time.Second)
		last, err := register.Latest(ctx, w.Register, w.scope)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			last, err = register.Advance(ctx, w.Register, last, register.Epoch{From: active, Target: other, Switch: fmt.Sprint(last.Number), By: "test"})
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.Error(err)
			return
		}
		w.mu.Lock()
		begun := w.now()
		to := []string{active, other}[w.IntN(2)]
		w.mu.Unlock()
		for w.since(begun) <= lease.Default {
			if pause(ctx, 10*time.Millisecond); ctx.Err() != nil {
				return
			}
		}
		if _, err := register.Advance(ctx, w.Register, last, register.Epoch{Active: to, From: active, Target: other, Switch: last.Switch, By: "test"}); err != nil && ctx.Err() == nil {
			w.Error(err)
			return
		}
		if to == other {
			active, other = other, active
		}
	}
}

func (w *fenceWorld) since(t time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now() - t
}

// roll waits for a random time.
func (w *fenceWorld) roll(ctx context.Context, most time.Duration) {
	w.mu.Lock()
	d := w.upTo(most)
	w.mu.Unlock()
	pause(ctx, d)
}

// disturb changes what the client's world is like.
func (w *fenceWorld) disturb(ctx context.Context) {
	for ctx.Err() == nil {
		w.roll(ctx, 6*time.Second)
		w.mu.Lock()
		switch w.IntN(6) {
		case 0:
			w.suspended += w.upTo(15 * time.Second)
		case 1:
			w.wall += w.upTo(time.Minute) - 30*time.Second
		case 2:
			w.out = true
		case 3:
			w.slow = true
		default:
			w.out, w.slow = false, false
		}
		w.mu.Unlock()
	}
}

func (w *fenceWorld) epochsGrow(ctx context.Context, c *Client) {
	for last := int64(0); ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		st := c.Status()
		if st.Epoch < last {
			w.Errorf("epoch %d after %d", st.Epoch, last)
		}
		last = st.Epoch
	}
}

// TestClientTakesScopesLease has a client be configured with a longer lease than its scope has, and
// lose the register: it sends for no longer than the others wait.
func TestClientTakesScopesLease(t *testing.T) {
	bubble(t, func(s *sim) {
		if _, err := register.Begin(s.Context(), s.reg, "default", register.Epoch{Active: "a", Lease: 10 * time.Second, By: "test"}); err != nil {
			s.Fatal(err)
		}
		reg := &outage{Register: s.reg}
		c := s.client(func(cfg *Config) {
			cfg.Register, cfg.Lease, cfg.Poll, cfg.MaxWait = reg, time.Minute, 30*time.Second, 2*time.Second
		})
		s.produce(c, "first")
		pause(s.Context(), time.Minute)
		s.produce(c, "the lease is confirmed in time")
		reg.set(true)
		s.closes("a", "b", false)
		pause(s.Context(), 10010*time.Millisecond)
		s.opens("b", "a", "b", false)
		is(s.T, c.ProduceSync(s.Context(), one("late")).FirstErr(), ErrFenced)
		if st := c.Status(); st.State != ClientFenced {
			s.Errorf("%+v", st)
		}
		if got := ends(s.T, s.a)[0] + ends(s.T, s.a)[1]; got != 2 {
			s.Errorf("a has %d records, want 2", got)
		}
	})
}
