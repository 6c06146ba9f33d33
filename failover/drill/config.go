package drill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/fault"
)

// Config is a drill's configuration.
type Config struct {
	// Required.

	// Scenario is what happens.
	Scenario Scenario
	// Clusters are two: the primary, then the standby. The drill makes its topics on the primary.
	Clusters []failover.Cluster
	// Injector makes the faults happen. It may be nil where a scenario has none, or none but on the
	// [Register].
	Injector Injector
	// Replication is the copy from the primary to the standby, which runs already, and takes the
	// drill's topics.
	Replication control.Replication

	// Optional.

	// Register holds the epochs. Default: one in memory.
	Register register.Register
	// Scope is the register's, which must have no epoch yet, or the primary active. Default
	// "drill".
	Scope string
	// Lease is the clients' and the controllers'. Default 1 s.
	Lease time.Duration
	// Controllers is how many there are. Default 2.
	Controllers int
	// Client and Controller change the configuration of each client and controller before it is
	// made. By default clients replay, and resend what is in doubt.
	Client     func(*failover.Config)
	Controller func(*control.Config)
	// Open makes the clients, from the options that a consumer or producer needs, to drill others
	// than failover's. Client isn't called then.
	Open func(ctx context.Context, name string, opts ...kgo.Opt) (Client, error)
	// Logger is the clients' and the controllers'. Default: nothing is logged.
	Logger *slog.Logger
}

// ConfigError lists what is wrong with a configuration, all of it. No I/O was done. It is the same
// type in all jobs.
type ConfigError = fault.ConfigError

// complete fills the defaults in and reports all faults at once.
func (c Config) complete() (Config, error) {
	var errs []error
	if err := c.Scenario.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(c.Clusters) != 2 {
		errs = append(errs, fmt.Errorf("a drill has two Clusters, primary and standby, not %d", len(c.Clusters)))
	}
	for _, f := range c.Scenario.Faults {
		if f.On != Register && c.Injector == nil {
			errs = append(errs, errors.New("no Injector: who makes the faults happen"))
			break
		}
	}
	if c.Replication == nil {
		errs = append(errs, errors.New("no Replication: the copy from the primary to the standby"))
	}
	if c.Lease < 0 || c.Controllers < 0 {
		errs = append(errs, errors.New("negative Lease or Controllers"))
	}
	if len(errs) > 0 {
		return c, &ConfigError{Job: "drill", Errs: errs}
	}
	if c.Register == nil {
		c.Register = register.NewMemory()
	}
	c.Scope = cmp.Or(c.Scope, "drill")
	c.Lease = cmp.Or(c.Lease, time.Second)
	c.Controllers = cmp.Or(c.Controllers, 2)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Scenario.Load = c.Scenario.Load.withDefaults()
	return c, nil
}
