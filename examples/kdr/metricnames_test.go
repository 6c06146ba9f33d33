package main

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/metricnames"
)

// TestMetricNames holds a follower's metrics to docs/metrics.md.
func TestMetricNames(t *testing.T) {
	m := newMetrics(time.Minute)
	m.status = func() backup.Status { return backup.Status{} }
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		m.Describe(ch)
	}()
	var all []string
	for d := range ch {
		all = append(all, d.String())
	}
	metricnames.Check(t, "kafkadr_backup_", all)
}
