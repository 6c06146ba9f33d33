package drilltest

import (
	"context"
	"log/slog"
	"regexp"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/mirror"
)

// TB is what this package needs of a [testing.TB].
type TB interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// DefaultLease is what the built-in scenarios' times suit; [drill.Scenario.Scaled] stretches them
// for a longer one.
const DefaultLease = 500 * time.Millisecond

// Options change a drill. The zero value suits the built-in scenarios.
type Options struct {
	// Lease is the clients' and the controllers'. Default [DefaultLease].
	Lease time.Duration
	// Client and Controller change the configuration of each client and controller before it is
	// made.
	Client     func(*failover.Config)
	Controller func(*control.Config)
	// Config changes the whole drill's.
	Config func(*drill.Config)
	// Logger is everybody's. Default: nothing is logged.
	Logger *slog.Logger

	machine machine // where the clusters live
}

// Run drills a scenario on a [Pair] with a [Mirror] between, and returns the evidence. A drill that
// can't be carried out is the test's end, one that isn't passed an error of the test.
func Run(t TB, s drill.Scenario, o Options) *drill.Evidence {
	t.Helper()
	e, err := Drill(t.Context(), s, o)
	if err != nil {
		t.Fatalf("drilltest: %v", err)
		return nil
	}
	if e.Passed {
		t.Logf("%s", e)
	} else {
		t.Errorf("%s", e)
	}
	return e
}

// Drill is [Run] without a test.
func Drill(ctx context.Context, s drill.Scenario, o Options) (*drill.Evidence, error) {
	p, err := pairOn(o.machine)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if len(s.Load.Topics) == 0 {
		s.Load.Topics = []string{"drill"}
	}
	m, err := p.mirror(mirror.Config{Topics: exactly(s.Load.Topics), Logger: o.Logger})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	cfg := drill.Config{Scenario: s, Clusters: p.Clusters(), Injector: p, Replication: m, Lease: o.Lease, Client: o.Client, Controller: o.Controller, Logger: o.Logger}
	if cfg.Lease == 0 {
		cfg.Lease = DefaultLease
	}
	if o.Config != nil {
		o.Config(&cfg)
	}
	return drill.Run(ctx, cfg)
}

// exactly are regular expressions of these topics. A literal name that isn't there yet would be an
// error of the mirror; a group of one isn't literal.
func exactly(topics []string) (patterns []string) {
	for _, t := range topics {
		patterns = append(patterns, "(?:"+regexp.QuoteMeta(t)+")")
	}
	return patterns
}
