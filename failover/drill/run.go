package drill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/probe"
)

// Run makes the scenario happen and measures it. It returns when the load has ended and the log of
// whoever is active was read; clusters are healed then, and stay otherwise as they are: the drill's
// topics remain. An error says why the drill couldn't be carried out: a *[ConfigError], a cluster
// that isn't there. A drill that was carried out and hasn't passed is no error: the evidence says
// so, and [Evidence.Err].
func Run(ctx context.Context, cfg Config) (*Evidence, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	c := &crew{cfg: cfg, stage: newStage(cfg)}
	if err := c.hire(); err != nil {
		return nil, fmt.Errorf("drill: %w", err)
	}
	e, err := c.stage.perform(ctx)
	if err != nil {
		return nil, fmt.Errorf("drill: %s: %w", cfg.Scenario.Name, err)
	}
	return e, nil
}

// crew are failover's clients and controllers on a stage.
type crew struct {
	cfg         Config
	stage       *stage
	controllers []*control.Controller
}

func (c *crew) hire() error {
	for i := range c.cfg.Controllers {
		controller, err := c.controller(fmt.Sprintf("controller-%d", i))
		if err != nil {
			return err
		}
		c.controllers = append(c.controllers, controller)
	}
	c.stage.client, c.stage.control, c.stage.command, c.stage.ready = c.client, c.control, c.command, c.ready
	return nil
}

func (c *crew) client(ctx context.Context, name string, opts ...kgo.Opt) (Client, error) {
	if c.cfg.Open != nil {
		return c.cfg.Open(ctx, name, opts...)
	}
	cfg := failover.Config{
		Clusters: c.cfg.Clusters, Opts: append(opts, kgo.ClientID(name)), Scope: c.cfg.Scope, Register: c.stage.spy, Lease: c.cfg.Lease,
		Replay: &failover.Replay{}, Logger: c.cfg.Logger.With("client", name),
		Hooks: failover.Hooks{OnSwitch: func(r failover.ClientReport) { c.stage.clientReport(name, r) }},
	}
	if c.cfg.Client != nil {
		c.cfg.Client(&cfg)
	}
	return failover.NewClient(ctx, cfg)
}

func (c *crew) controller(name string) (*control.Controller, error) {
	cfg := control.Config{
		Clusters: c.cfg.Clusters, Register: c.stage.spy, Scope: c.cfg.Scope, Lease: c.cfg.Lease, Name: name, Logger: c.cfg.Logger.With("controller", name),
		Probe: probe.Metadata(probe.MetadataConfig{}), Health: rule(c.cfg.Lease), Interval: c.cfg.Lease / 5, Retry: c.cfg.Lease,
		Switch: control.SwitchConfig{Topics: c.cfg.Scenario.Load.patterns(), Replication: c.cfg.Replication, Deadlines: deadlines()},
		Hooks:  control.Hooks{OnReport: c.stage.report},
	}
	if n := c.cfg.Scenario.MaxRPO; n != nil {
		cfg.Switch.Budget = &control.Budget{Records: *n}
	}
	if c.cfg.Controller != nil {
		c.cfg.Controller(&cfg)
	}
	return control.New(cfg)
}

// rule finds a dead cluster in a lease's time where it refuses connections. One that answers now
// and then isn't dead.
func rule(lease time.Duration) probe.Rule {
	return probe.Rule{Failures: 5, Of: 5, Interval: lease / 5, Timeout: lease / 2, Backoff: lease, MaxBackoff: 10 * lease}
}

// deadlines are those of a drill, where a cluster that doesn't answer in a second won't.
func deadlines() control.Deadlines {
	const step = time.Second
	return control.Deadlines{Check: step, Close: step, Open: step, Fence: step, Stop: 5 * step, Refill: step, Forks: step, Offsets: step, Rights: step, GiveUp: 2 * step}
}

// control runs the controllers, each until the context ends.
func (c *crew) control(ctx context.Context) error {
	var g errgroup.Group
	for _, controller := range c.controllers {
		g.Go(func() error { return controller.Run(ctx) })
	}
	return g.Wait()
}

// command has the first controller switch over.
func (c *crew) command(ctx context.Context) error {
	plan, err := c.controllers[0].Plan(ctx, c.stage.standby.Name, control.Switchover)
	if err != nil {
		return err
	}
	_, err = plan.Run(ctx)
	return err
}

// ready is nil when the copy knows every partition.
func (c *crew) ready(ctx context.Context) error {
	lag, err := c.cfg.Replication.Lag(ctx, c.stage.primary.Name, c.stage.standby.Name)
	switch {
	case err != nil:
		return err
	case lag.At.IsZero():
		return errors.New("the lag isn't known yet")
	case lag.Unknown > 0:
		return fmt.Errorf("the lag of %d partitions isn't known yet", lag.Unknown)
	}
	return nil
}
