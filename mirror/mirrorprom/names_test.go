package mirrorprom

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
		New(&fixed{}, Config{}).Describe(ch)
	}()
	var all []string
	for d := range ch {
		all = append(all, d.String())
	}
	metricnames.Check(t, "kafkadr_mirror_", all)
}
