package failoverprom

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkadr/kafkadr/internal/metricnames"
)

// TestNames holds the metrics to docs/metrics.md.
func TestNames(t *testing.T) {
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		Client(client{}).Describe(ch)
		Controller(controller{}).Describe(ch)
	}()
	var all []string
	for d := range ch {
		all = append(all, d.String())
	}
	metricnames.Check(t, "kafkadr_failover_", all)
}
