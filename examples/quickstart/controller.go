package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
)

// lease is how long a client may write without asking again whether its
// cluster is still the active one. It is short, for a story that is: the
// default is 10 s.
const lease = 500 * time.Millisecond

// runningController looks at both clusters, and switches to the standby when
// the primary is down.
type runningController struct {
	reports chan *control.Report
	cancel  context.CancelFunc
	ended   chan struct{} // closed when it has ended, with err
	err     error
}

// startController begins to watch. The register says which cluster is active:
// this one is in memory; bucket.Open has one for many processes.
func startController(ctx context.Context, clusters []failover.Cluster, reg register.Register, replication control.Replication) (*runningController, error) {
	c := &runningController{reports: make(chan *control.Report, 10), ended: make(chan struct{})}
	controller, err := control.New(control.Config{
		Clusters: clusters,
		Register: reg,
		Lease:    lease,
		Probe:    probe.Metadata(probe.MetadataConfig{}),
		Health:   probe.Rule{Interval: 100 * time.Millisecond, Timeout: time.Second}, // 3 failures of 5 are a disaster
		Interval: 100 * time.Millisecond,
		Switch:   control.SwitchConfig{Topics: []string{orders}, Replication: replication},
		Hooks:    control.Hooks{OnReport: func(r *control.Report) { c.reports <- r }},
	})
	if err != nil {
		return nil, err
	}
	ctx, c.cancel = context.WithCancel(ctx)
	go func() {
		defer close(c.ended)
		c.err = controller.Run(ctx)
	}()
	return c, nil
}

// switched waits until the standby is active, and returns the report of that.
func (c *runningController) switched(ctx context.Context, s *story) (*control.Report, error) {
	for {
		select {
		case r := <-c.reports:
			if r.End == control.EndSwitched {
				return r, nil
			}
			s.say("a switch has ended as %s, and is tried again: %s", r.End, r.Error)
		case <-c.ended:
			return nil, fmt.Errorf("the controller ended: %w", c.err)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// end ends it.
func (c *runningController) end() {
	c.cancel()
	<-c.ended
}

// sayReport tells what the switch took, and what the standby lacked.
func sayReport(s *story, r *control.Report) {
	var phases []string
	for _, p := range r.Phases {
		if p.Outcome != control.OutcomeSkipped {
			phases = append(phases, fmt.Sprintf("%s %s", p.Step, millis(p.Millis)))
		}
	}
	s.say("epoch %d: %s is active. Why: %s", r.Opened, r.To, r.Reason)
	s.say("time to recover (RTO), from the first failed look: %s, of it %s with nobody active", millis(r.RTOMillis), millis(r.ClosedMillis))
	s.say("  %s", strings.Join(phases, ", "))
	if r.RPO != nil {
		s.say("what the standby lacked (RPO), as far as the mirror knew: %d records", r.RPO.Records)
	}
}

func millis(ms float64) time.Duration {
	return (time.Duration(ms*1e6) * time.Nanosecond).Round(time.Millisecond)
}
