package drilltest

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/internal/clock"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/internal/testpass"
)

// inMemory is a machine whose clusters can live in a bubble.
func inMemory() machine {
	network := &kfake.VirtualNetwork{}
	return machine{network.Listen, testkafka.DialVirtual(network)}
}

// inBubble is a test in simulated time: leases and deadlines hold however slow the machine is.
type inBubble struct{ *testing.T }

func (t inBubble) Context() context.Context { return clock.With(t.T.Context(), clock.Go) }

// drillIn drills in a bubble.
func drillIn(t *testing.T, s drill.Scenario, o Options) *drill.Evidence {
	t.Helper()
	o.machine = inMemory()
	return Run(inBubble{t}, s, o)
}

// Every built-in scenario ends as it ought to, in the process.
func TestScenarios(t *testing.T) {
	for _, s := range testpass.Few(t, 3, drill.Scenarios()) {
		t.Run(s.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { drillIn(t, s, Options{}) })
		})
	}
}
