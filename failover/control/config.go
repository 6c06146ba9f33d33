package control

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/internal/lease"
	"github.com/kafkadr/kafkadr/failover/internal/self"
	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
)

// Config is a controller's configuration.
type Config struct {
	// Required.

	// Clusters are those that may be active, two at least. Which one is, the register says.
	Clusters []failover.Cluster
	// Register holds the epochs: the same for all controllers and clients of a scope, which an
	// operator has begun ([register.Begin], kdr init-scope): a controller begins none.
	Register register.Register

	// Optional.

	// Scope is what is switched. Default "default".
	Scope string
	// Name is who writes epochs. No two living controllers of a scope may have the same: a switch
	// that was begun under a controller's own name is taken for its own, from before it was started
	// again, and gone on with at once. Default: host, process and a random part.
	Name string
	// Lease is how long a client may write after it confirmed its epoch, in a scope whose register
	// doesn't say so yet: the same for all clients, or the longest. Epochs that this controller
	// writes say so from then on. Default 10 s.
	Lease time.Duration
	// Standby names the cluster to go to from the active one. Default: the next of Clusters, from
	// the last to the first.
	Standby func(active string) string
	// Probe looks at clusters, for [Controller.Run]. Another cluster at the address of one whose ID
	// the register has counts as the one being away, whatever a probe says. Default none: Run only
	// takes up what other controllers have left.
	Probe probe.Probe
	// Health says when a cluster is down, and when it is back. Default: the zero [probe.Rule]'s.
	Health probe.Rule
	// Interval is the time from one look at the register, and one decision, to the next; a probe's
	// verdict doesn't wait for it. Default 1 s.
	Interval time.Duration
	// Manual controllers never switch by themselves: Run follows, probes and reports.
	Manual bool
	// Patience is how long another controller's switch is left to it, before it is taken to have
	// died. Default: a little more than the longest that a switch may take by its deadlines; less
	// isn't allowed, and to it comes up to a half by chance.
	Patience time.Duration
	// Retry is the time to the next try after a veto; each is twice the last, up to 5 min. Default
	// 5 s.
	Retry time.Duration
	// Rehearse is the time from one plan that is made for the sake of its conflicts to the next.
	// Default 1 min.
	Rehearse time.Duration
	// Switch is what a switch does.
	Switch SwitchConfig
	// Reason is why, for the register and reports of switches on command; it must hold no secret.
	// Default: what the controller knows.
	Reason string
	// Hooks are called as things happen.
	Hooks Hooks
	// Logger takes what an operator may want to know. Default: nothing is logged.
	Logger *slog.Logger

	tuning tuning
}

// Hooks are called synchronously; nil ones are skipped. Plans that are run by several goroutines
// call them from each.
type Hooks struct {
	// OnPhase is called after each step of a switch.
	OnPhase func(Phase)
	// OnReport is called at the end of each switch, whatever became of it.
	OnReport func(*Report)
	// OnRetry is called before something is tried again.
	OnRetry func(op string, err error)
	// OnState is called where a running controller's state has changed.
	OnState func(Status)
	// OnVeto is called where a running controller wanted to switch, and couldn't: with a
	// *[RefusedError], *[VetoError] or *[ClosedError], or the register's error.
	OnVeto func(error)
	// OnRehearsal is called with the plan of each rehearsal: its conflicts would be in the way of a
	// switch.
	OnRehearsal func(*Plan)
}

// tuning is for tests.
type tuning struct {
	access access
	// identify is a probe that holds which cluster answers.
	identify func(id string) probe.Probe
	// after is called after each step; an error ends the switch as a crash would.
	after func(Step) error
}

// complete fills the defaults in and reports all faults at once.
func (c Config) complete() (Config, error) {
	errs := failover.CheckClusters(c.Clusters)
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Clusters) == 1 {
		fault("Clusters has one: there is none to go to")
	}
	if c.Register == nil {
		fault("Register is missing: where the epochs are")
	}
	c.Scope = cmp.Or(c.Scope, "default")
	if err := register.CheckScope(c.Scope); err != nil {
		fault("Scope: %w", err)
	}
	for _, f := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{{"Lease", &c.Lease, lease.Default}, {"Interval", &c.Interval, time.Second}, {"Retry", &c.Retry, 5 * time.Second}, {"Rehearse", &c.Rehearse, time.Minute}} {
		if *f.value < 0 {
			fault("%s is negative", f.name)
		}
		*f.value = cmp.Or(*f.value, f.def)
	}
	if err := c.Health.Validate(); err != nil {
		fault("Health: %w", err)
	}
	sw, more := c.Switch.complete()
	c.Switch = sw
	longest := sw.longest(c.Lease)
	if c.Patience = cmp.Or(c.Patience, longest+longest/10); c.Patience < longest && len(more) == 0 {
		fault("Patience is less than a switch may take by its deadlines, %v", longest)
	}
	if errs = append(errs, more...); len(errs) > 0 {
		return c, &failover.ConfigError{Job: "failover", Errs: errs}
	}
	if c.Name == "" {
		c.Name = self.Name()
	}
	if c.Standby == nil {
		c.Standby = c.next
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.tuning.access == nil {
		c.tuning.access = kafkaAccess{onRetry: c.Hooks.OnRetry}
		c.tuning.identify = func(id string) probe.Probe { return probe.Metadata(probe.MetadataConfig{ClusterID: id}) }
	}
	return c, nil
}

// next is the cluster after one in the list.
func (c *Config) next(active string) string {
	i := slices.IndexFunc(c.Clusters, func(cl failover.Cluster) bool { return cl.Name == active })
	return c.Clusters[(i+1)%len(c.Clusters)].Name
}
