package control

import (
	"time"

	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
)

// State is what a controller does.
type State string

// States of a controller that runs.
const (
	// StateStarting: the register hasn't said yet which epoch it is.
	StateStarting State = "starting"
	// StateFollowing: the active cluster is up, or no probe says otherwise.
	StateFollowing State = "following"
	// StateSuspect: the active cluster's probes fail, not for long enough yet.
	StateSuspect State = "suspect"
	// StateDown: the active cluster is down, and nothing can be done: the controller is manual, or
	// no other cluster is up, or the register doesn't answer.
	StateDown State = "down"
	// StateVetoed: the active cluster is down, and a switch was refused or given up: it is tried
	// again at Next.
	StateVetoed State = "vetoed"
	// StateSwitching: this controller switches.
	StateSwitching State = "switching"
	// StateClosed: a switch is under way that another controller has begun, or that this one
	// couldn't end. It is taken up at Next, where the controller isn't manual.
	StateClosed State = "closed"
)

// Status is where a controller stands.
type Status struct {
	Scope string `json:"scope"`
	Name  string `json:"name"`
	// State has been so since Since; Detail says why, for people.
	State  State     `json:"state"`
	Since  time.Time `json:"since"`
	Detail string    `json:"detail,omitempty"`
	// Next is when something is tried, where that is waited for.
	Next time.Time `json:"next,omitzero"`
	// Epoch is the last that was seen, Read when it was last found to be that; RegisterError why
	// not since.
	Epoch         register.Epoch `json:"epoch"`
	Read          time.Time      `json:"read,omitzero"`
	RegisterError string         `json:"register_error,omitempty"`
	// Standby is the cluster that would be gone to.
	Standby string `json:"standby,omitempty"`
	// Clusters are what the probes say, in the configuration's order.
	Clusters []probe.Status `json:"clusters"`
	// Rehearsal is the last plan that was made for no other end than to see that it could be.
	Rehearsal *Plan `json:"rehearsal,omitempty"`
	// Report is the last switch's.
	Report *Report `json:"report,omitempty"`
	// Switches and Vetoes count what this controller has done, and what was refused or given up.
	Switches int `json:"switches"`
	Vetoes   int `json:"vetoes"`
}

// Status is where the controller stands; while it doesn't run, there is little. It may be called at
// any time.
func (c *Controller) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statusLocked()
}

func (c *Controller) statusLocked() Status {
	s := c.status
	s.Scope, s.Name, s.Epoch, s.Clusters = c.cfg.Scope, c.cfg.Name, c.seen, []probe.Status{}
	if active := c.seen.Active; active != "" {
		s.Standby = c.cfg.Standby(active)
	}
	for _, cl := range c.cfg.Clusters {
		s.Clusters = append(s.Clusters, c.health(cl.Name))
	}
	return s
}

// enter notes a state, and tells where it is another one.
func (c *Controller) enter(state State, next time.Time, detail string) {
	c.mu.Lock()
	changed := c.status.State != state
	if changed {
		c.status.Since = time.Now()
	}
	c.status.State, c.status.Next, c.status.Detail = state, next, detail
	s := c.statusLocked()
	c.mu.Unlock()
	if !changed {
		return
	}
	c.cfg.Logger.Info("failover: state", "scope", s.Scope, "state", state, "epoch", s.Epoch.Number, "active", s.Epoch.Active, "detail", detail)
	if h := c.cfg.Hooks.OnState; h != nil {
		h(s)
	}
}
