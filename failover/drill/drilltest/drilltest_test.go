package drilltest

import (
	"testing"

	"github.com/kafkadr/kafkadr/failover/drill"
)

// Every built-in scenario ends as it ought to, in the process.
func TestScenarios(t *testing.T) {
	for _, s := range drill.Scenarios() {
		t.Run(s.Name, func(t *testing.T) { Run(t, s, Options{}) })
	}
}
