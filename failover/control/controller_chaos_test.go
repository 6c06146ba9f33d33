package control

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testpass"
)

// chaos is a world in which everything fails now and then.
type chaos struct {
	*world
	t *testing.T

	mu   sync.Mutex
	rand *rand.Rand
	calm bool
	// disasters says whether clusters go down for good; else they only flap, or are slow.
	disasters bool
	slow      map[string]time.Duration
	// lost is when a cluster last was in no state to be healthy again: down for good, or flapping
	// since.
	lost map[string]time.Time
	// opened is when an epoch was written, by number; numbers are the highest that each controller
	// has seen.
	opened  map[int64]time.Time
	numbers map[string]int64
	faults  []string
	// registerDown is until when the register fails.
	registerDown time.Time
}

const (
	chaosInterval = 2 * time.Second
	chaosTimeout  = 8 * time.Second
	chaosLength   = 20 * time.Minute
	longestPause  = 100 * time.Second
	// maxBackoff is how long a cluster that flaps has to stay well, recovery when it is healthy
	// again at the latest: three looks have to succeed, too.
	maxBackoff = 30 * time.Second
	recovery   = maxBackoff + 4*(chaosInterval+chaosTimeout)
)

func (c *chaos) roll(p float64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.calm && c.rand.Float64() < p
}

func (c *chaos) between(least, most time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return least + time.Duration(c.rand.Int64N(int64(most-least)))
}

func (c *chaos) fault(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// nap is a pause of whoever calls, as of a process that is suspended: no context ends it.
func (c *chaos) nap(p float64, most time.Duration) {
	if c.roll(p) {
		time.Sleep(c.between(0, most)) //nolint:forbidigo // simulated time
	}
}

// Get implements register.Register.
func (c *chaos) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	if err := c.registerFails(ctx); err != nil {
		return register.Epoch{}, err
	}
	return c.reg.Get(ctx, scope, number)
}

// Create implements register.Register. Some are written, and their answer is lost.
func (c *chaos) Create(ctx context.Context, e register.Epoch) error {
	c.nap(0.1, longestPause)
	if err := c.registerFails(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	if lost := c.lost[e.From]; e.Closing() && time.Since(lost) > recovery+longestPause+time.Minute {
		c.faults = append(c.faults, fmt.Sprintf("epoch %d leaves %s, which wasn't down (last %v)", e.Number, e.From, lost))
	}
	c.mu.Unlock()
	err := c.reg.Create(context.WithoutCancel(ctx), e)
	if err == nil {
		c.mu.Lock()
		c.opened[e.Number] = time.Now()
		c.mu.Unlock()
	}
	if c.roll(0.1) {
		return errSim
	}
	return err
}

func (c *chaos) registerFails(ctx context.Context) error {
	if c.roll(0.001) {
		until := c.between(0, time.Minute)
		c.mu.Lock()
		c.registerDown = time.Now().Add(until)
		c.mu.Unlock()
	}
	c.mu.Lock()
	down := !c.calm && time.Now().Before(c.registerDown)
	c.mu.Unlock()
	switch {
	case down && c.roll(0.5), c.roll(0.02):
		<-ctx.Done()
		return ctx.Err()
	case down:
		return errSim
	}
	return ctx.Err()
}

func (c *chaos) probe(ctx context.Context, t probe.Target) error {
	c.mu.Lock()
	slow := c.slow[t.Name]
	c.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(c.between(0, slow)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.world.probe(ctx, t)
}

// weather changes a cluster until the context ends.
func (c *chaos) weather(ctx context.Context, name string) {
	sleep := func(d time.Duration) bool {
		select {
		case <-time.After(d):
			return true
		case <-ctx.Done():
			return false
		}
	}
	for sleep(c.between(0, 3*time.Minute)) {
		switch {
		case c.disasters && c.roll(0.5):
			c.break_(name, errSim)
			for end := time.Now().Add(c.between(0, 5*time.Minute)); time.Now().Before(end) && ctx.Err() == nil; sleep(time.Second) {
				c.fails(name, true)
			}
			c.break_(name, nil)
		case c.roll(0.5): // flaps: never two probes in a row
			for range 30 {
				c.break_(name, errSim)
				sleep(c.between(0, chaosInterval))
				c.fails(name, false)
				c.break_(name, nil)
				sleep(c.between(chaosInterval+time.Second, 3*chaosInterval))
			}
		default:
			c.slowed(name, chaosTimeout)
			sleep(c.between(0, time.Minute))
			c.slowed(name, 0)
			sleep(2 * chaosTimeout) // until no slow look is under way, or two would follow at once
		}
	}
	c.break_(name, nil)
}

// fails notes that a cluster is down, for good or for a moment. A moment before it was healthy
// again has it stay down.
func (c *chaos) fails(name string, forGood bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if forGood || time.Since(c.lost[name]) < recovery {
		c.lost[name] = time.Now()
	}
}

func (c *chaos) slowed(name string, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slow[name] = d
}

// step is one of a switch: none begins after the switch has ended, but for what was on its way when
// it did.
func (c *chaos) step(name string) {
	last := c.last()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !last.Closing() && time.Since(c.opened[last.Number]) > recheck {
		c.faults = append(c.faults, fmt.Sprintf("%s %v after epoch %d opened", name, time.Since(c.opened[last.Number]), last.Number))
	}
}

func (c *chaos) last() register.Epoch {
	last, err := register.Latest(context.Background(), c.reg, "default")
	if err != nil && !errors.Is(err, register.ErrNoEpoch) {
		c.fault("%v", err)
	}
	return last
}

type chaosRefill struct{ c *chaos }

func (r chaosRefill) Refill(ctx context.Context, _, _ string) (RefillResult, error) {
	r.c.step("refill")
	return RefillResult{}, ctx.Err()
}

// live is a controller that dies now and then, and is started again under another name.
func (c *chaos) live(ctx context.Context, id int) {
	for life := 0; ctx.Err() == nil; life++ {
		name := fmt.Sprintf("%d-%d", id, life)
		cfg := c.config(name)
		cfg.Register, cfg.Probe, cfg.Interval, cfg.Lease = c, c.probe, chaosInterval, 5*time.Second
		cfg.Health = probe.Rule{Interval: chaosInterval, Timeout: chaosTimeout, MaxBackoff: maxBackoff}
		cfg.Switch.Refill, cfg.Switch.Deadlines = chaosRefill{c}, Deadlines{Drain: time.Second, Stop: time.Second, Refill: time.Second, Offsets: time.Second, Rights: time.Second, GiveUp: 5 * time.Second}
		cfg.tuning.after = func(Step) error { c.nap(0.05, longestPause); return nil }
		cfg.Hooks.OnState = func(s Status) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if s.Epoch.Number < c.numbers[name] {
				c.faults = append(c.faults, fmt.Sprintf("%s went back from epoch %d to %d", name, c.numbers[name], s.Epoch.Number))
			}
			c.numbers[name] = s.Epoch.Number
		}
		ctl, err := New(cfg)
		if err != nil {
			c.fault("%v", err)
			return
		}
		life, die := context.WithCancel(ctx)
		if c.roll(0.7) {
			life, die = context.WithTimeout(ctx, c.between(0, chaosLength/2))
		}
		if err := ctl.Run(life); life.Err() == nil {
			c.fault("%s ended: %v", name, err)
		}
		die()
	}
}

// TestControllerChaos runs random schedules of clusters that go down, flap and are slow, of a
// register that fails, and of controllers that pause and die. Epochs follow one another, no
// controller goes back, no step of a switch begins after its end, only clusters that were down are
// left, and in the end one that is up is active.
func TestControllerChaos(t *testing.T) {
	schedules := 40
	if os.Getenv("KAFKADR_LONG") != "" {
		schedules = 1000
	}
	switches := 0
	seeds := testpass.Few(t, 10, testpass.Seeds(schedules))
	for _, seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			c := &chaos{
				world: newWorld(t), t: t, rand: rand.New(rand.NewPCG(seed, 1)), disasters: seed%4 != 0, slow: map[string]time.Duration{}, lost: map[string]time.Time{},
				opened: map[int64]time.Time{}, numbers: map[string]int64{},
			}
			ctx, cancel := context.WithCancel(t.Context())
			weather, clear := context.WithTimeout(ctx, chaosLength)
			var wg sync.WaitGroup
			for _, name := range []string{"a", "b"} {
				wg.Go(func() { c.weather(weather, name) })
			}
			begin(t, Config{Clusters: c.clusters(), Register: c.reg, Lease: 5 * time.Second})
			for id := range 3 {
				wg.Go(func() { c.live(ctx, id) })
			}
			<-weather.Done()
			clear()
			c.mu.Lock()
			c.calm = true
			c.mu.Unlock()
			time.Sleep(10 * time.Minute) //nolint:forbidigo // simulated time
			cancel()
			wg.Wait()
			history := c.history() // checks that each epoch may follow the last
			if last := c.last(); last.Closing() {
				t.Errorf("seed %d: still closed: %v", seed, history)
			}
			if active := c.last().Active; active != "" && c.fenced[active] {
				t.Errorf("seed %d: %s is active and fenced: %v", seed, active, history)
			}
			if !c.disasters && len(history) != 1 {
				t.Errorf("seed %d: nothing was down, and %v", seed, history)
			}
			for _, f := range c.faults {
				t.Errorf("seed %d: %s: %v", seed, f, history)
			}
			switches += len(history) / 2
		})
		if t.Failed() {
			break
		}
	}
	t.Logf("%d switches in %d schedules", switches, len(seeds))
}
