package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

var errRunsAlready = errors.New("failover: the controller runs already")

// Run follows the register, probes the clusters, and switches by force where the active cluster is
// down, the next one is up, and nothing vetoes. What another controller has begun and left it
// finishes, or gives up where the target isn't fit and the other cluster is. It ends with its
// context, whose error it returns, and may be called again then.
func (c *Controller) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.start(); err != nil {
		return err
	}
	defer c.stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, w := range c.watches {
		wg.Go(func() { _ = w.monitor.Run(ctx) })
	}
	wg.Go(func() { c.rehearse(ctx) })
	l := &loop{c: c}
	c.enter(StateStarting, time.Time{}, "")
	for ctx.Err() == nil {
		l.turn(ctx)
		c.rest(ctx)
	}
	return context.Cause(ctx)
}

// rest returns when it is time for the next turn: earlier where a cluster's state has changed.
func (c *Controller) rest(ctx context.Context) {
	t := time.NewTimer(c.cfg.Interval)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.verdicts:
	case <-ctx.Done():
	}
}

// verdict has Run look at once.
func (c *Controller) verdict() {
	select {
	case c.verdicts <- struct{}{}:
	default:
	}
}

func (c *Controller) start() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		return errRunsAlready
	}
	c.watches = map[string]*watch{}
	c.running = true
	if c.cfg.Probe == nil {
		return nil
	}
	for _, cl := range c.cfg.Clusters {
		w, err := newWatch(&c.cfg, cl, func() string { return c.registersID(cl.Name) }, c.verdict)
		if err != nil {
			return err
		}
		c.watches[cl.Name] = w
	}
	return nil
}

func (c *Controller) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
}

// health is what the probes say; without any, nothing is known.
func (c *Controller) health(name string) probe.Status {
	if w := c.watches[name]; w != nil {
		return w.state()
	}
	return probe.Status{Cluster: name, State: probe.Unknown}
}

func (c *Controller) is(name string, state probe.State) bool { return c.health(name).State == state }

// downSince is when the failures of a cluster began that is down, else zero.
func (c *Controller) downSince(name string) time.Time {
	if w := c.watches[name]; w != nil && c.is(name, probe.Down) {
		return w.since()
	}
	return time.Time{}
}

// rehearse makes the plan that nobody needs yet, so that what would be in its way is known long
// before.
func (c *Controller) rehearse(ctx context.Context) {
	for ctx.Err() == nil {
		c.mu.Lock()
		last := c.seen
		c.mu.Unlock()
		wait := c.cfg.Interval
		if last.Active != "" && !c.is(last.Active, probe.Down) && !c.is(last.Active, probe.Suspect) {
			if p, err := c.Plan(ctx, "", Failover); err == nil {
				c.mu.Lock()
				c.status.Rehearsal = p
				c.mu.Unlock()
				if hook := c.cfg.Hooks.OnRehearsal; hook != nil {
					hook(p)
				}
				wait = c.cfg.Rehearse
			}
		}
		_ = rawkafka.Sleep(ctx, wait)
	}
}

// loop is what a running controller remembers from one turn to the next.
type loop struct {
	c *Controller
	// notBefore is when a switch may be tried again, after tries that failed.
	notBefore time.Time
	tries     int
	// patience is how long the closing epoch of that number is another's.
	patience time.Duration
	closing  int64
}

// turn reads, decides, and switches.
func (l *loop) turn(ctx context.Context) {
	last, err := l.c.read(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil && last.Number == 0:
		l.c.enter(StateStarting, time.Time{}, "register: "+err.Error())
	case last.Closing():
		l.closed(ctx, last, err)
	default:
		l.open(ctx, last, err)
	}
}

// read follows the register to its last epoch.
func (c *Controller) read(ctx context.Context) (register.Epoch, error) {
	c.mu.Lock()
	last := c.seen
	c.mu.Unlock()
	at := time.Now()
	last, err := bounded(ctx, c.cfg.Switch.Deadlines.Close, func(ctx context.Context) (register.Epoch, error) { return c.readOn(ctx, last) })
	c.follow(last, time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.status.RegisterError = err.Error()
		return c.seen, err
	}
	c.status.Read, c.status.RegisterError = at, ""
	return c.seen, nil
}

func (c *Controller) readOn(ctx context.Context, last register.Epoch) (register.Epoch, error) {
	if last.Number == 0 {
		return register.Active(ctx, c.cfg.Register, c.cfg.Scope)
	}
	for {
		next, err := register.Next(ctx, c.cfg.Register, last)
		switch {
		case errors.Is(err, register.ErrNoEpoch):
			return last, nil
		case err != nil:
			return last, err
		}
		last = next
	}
}

// open decides where a cluster is active.
func (l *loop) open(ctx context.Context, last register.Epoch, readErr error) {
	c := l.c
	h := c.health(last.Active)
	standby := c.cfg.Standby(last.Active)
	switch {
	case h.State == probe.Suspect:
		c.enter(StateSuspect, time.Time{}, h.Error)
	case h.State != probe.Down:
		l.tries, l.notBefore = 0, time.Time{}
		c.enter(StateFollowing, time.Time{}, "")
	case c.cfg.Manual:
		c.enter(StateDown, time.Time{}, "the controller is manual: "+h.Error)
	case readErr != nil:
		c.enter(StateDown, time.Time{}, "register: "+readErr.Error())
	case !c.is(standby, probe.Healthy):
		c.enter(StateDown, time.Time{}, fmt.Sprintf("%s is %s: %s", standby, c.health(standby).State, c.health(standby).Error))
	case time.Now().Before(l.notBefore):
		c.enter(StateVetoed, l.notBefore, "")
	default:
		l.change(ctx, last, standby, Failover, c.downSince(last.Active), cmp.Or(c.cfg.Reason, fmt.Sprintf("%s is down: %s", last.Active, brief(h.Error))))
	}
}

// closed decides where a switch is under way. One of this controller's own name is from before it
// was started again, or couldn't be ended.
func (l *loop) closed(ctx context.Context, last register.Epoch, readErr error) {
	c := l.c
	seen := c.follow(last, time.Now())
	if l.closing != last.Number {
		l.closing, l.patience = last.Number, time.Duration(float64(c.patience(last))*(1+rand.Float64()/2)) // by chance, so that controllers don't start at once
		if last.By == c.cfg.Name {
			l.patience = 0
		}
	}
	next := seen.Add(l.patience)
	if l.notBefore.After(next) {
		next = l.notBefore
	}
	switch {
	case len(c.busy) > 0:
		c.enter(StateSwitching, time.Time{}, "on command, to "+last.Target)
	case c.cfg.Manual || readErr != nil || time.Now().Before(next):
		c.enter(StateClosed, next, fmt.Sprintf("%s switches from %s to %s", last.By, last.From, last.Target))
	case last.Stays: // an operator's change of the scope's values, whose writer died
		l.change(ctx, last, last.From, Failover, time.Time{}, last.Reason)
	case c.is(last.Target, probe.Down) && c.is(last.From, probe.Healthy):
		l.change(ctx, last, last.From, Failover, time.Time{}, fmt.Sprintf("%s is down: %s", last.Target, brief(c.health(last.Target).Error)))
	default:
		how := Failover
		if last.Planned && c.is(last.From, probe.Healthy) {
			how = Switchover
		}
		if !l.change(ctx, last, last.Target, how, c.downSince(last.From), last.Reason) && c.is(last.From, probe.Healthy) {
			l.change(ctx, last, last.From, Failover, time.Time{}, "the switch can't be finished")
		}
	}
}

// change plans and switches, and says whether that is settled. What was decided at one epoch isn't
// done at another: the same words would mean another switch there. After a failure it isn't tried
// for a while, twice as long each time.
func (l *loop) change(ctx context.Context, last register.Epoch, to string, how How, down time.Time, reason string) bool {
	c := l.c
	c.enter(StateSwitching, time.Time{}, "to "+to)
	p, err := c.plan(ctx, to, how, down)
	if err == nil && p.Epoch != last.Number {
		return true
	}
	if err == nil {
		p.Reason = reason
		var report *Report
		report, err = p.Run(ctx)
		c.mu.Lock()
		c.status.Report = report
		c.mu.Unlock()
	}
	var overtaken *OvertakenError
	if err == nil || errors.As(err, &overtaken) {
		l.tries, l.notBefore = 0, time.Time{}
		c.mu.Lock()
		defer c.mu.Unlock()
		if err == nil {
			c.status.Switches++
		}
		return true
	}
	if ctx.Err() != nil {
		return true
	}
	l.notBefore = time.Now().Add(min(c.cfg.Retry<<min(l.tries, 10), maxRetry))
	l.tries++
	c.mu.Lock()
	c.status.Vetoes++
	c.mu.Unlock()
	if h := c.cfg.Hooks.OnVeto; h != nil {
		h(err)
	}
	c.enter(StateVetoed, l.notBefore, err.Error())
	return false
}

const maxRetry = 5 * time.Minute

// brief is an error's beginning, as the register takes it, which is no log: of whole characters
// that print.
func brief(text string) string {
	const most = 200
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}
