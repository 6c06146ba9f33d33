package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/storage"
)

// metrics are a follower's, read from its status when somebody asks.
type metrics struct {
	every   time.Duration
	started time.Time
	status  func() backup.Status

	snapshots, flushes, lost atomic.Int64
}

func newMetrics(every time.Duration) *metrics { return &metrics{every: every, started: time.Now()} }

// count adds to hooks what the status doesn't count.
func (m *metrics) count(h *backup.Hooks) {
	snapshot, hole := h.OnSnapshot, h.OnHole
	h.OnSnapshot = func(i storage.Info) { m.snapshots.Add(1); snapshot(i) }
	h.OnFlush = func(storage.Info) { m.flushes.Add(1) }
	h.OnHole = func(topic string, partition int32, hole_ storage.Hole) {
		m.lost.Add(hole_.EndOffset - hole_.BaseOffset)
		hole(topic, partition, hole_)
	}
}

// gauges are what /metrics says of a status.
var gauges = []struct {
	name, help string
	kind       prometheus.ValueType
	value      func(backup.Status) float64
}{
	{"snapshot_age_seconds", "Time since the last full snapshot; negative before the first.", prometheus.GaugeValue, func(s backup.Status) float64 { return s.SnapshotAge.Seconds() }},
	{"snapshot_timestamp_seconds", "When the last full snapshot was created, as Unix time.", prometheus.GaugeValue, func(s backup.Status) float64 { return unixSeconds(s.Snapshot.CreatedAt) }},
	{"commit_timestamp_seconds", "When data was last committed, as Unix time.", prometheus.GaugeValue, func(s backup.Status) float64 { return unixSeconds(s.Committed.CreatedAt) }},
	{"lag_records", "Offsets below the last stable offsets that are not in a committed manifest.", prometheus.GaugeValue, func(s backup.Status) float64 { return float64(s.LagRecords) }},
	{"lso_lag_records", "Largest distance of a high watermark and its last stable offset.", prometheus.GaugeValue, func(s backup.Status) float64 { return float64(s.LSOLag) }},
	{"partitions", "Partitions that are followed.", prometheus.GaugeValue, func(s backup.Status) float64 { return float64(s.Partitions) }},
	{"faulted_partitions", "Partitions that can't be read now.", prometheus.GaugeValue, func(s backup.Status) float64 { return float64(s.Faulted) }},
	{"records_total", "Records archived since the start.", prometheus.CounterValue, func(s backup.Status) float64 { return float64(s.Records) }},
	{"bytes_total", "Bytes of batches archived since the start.", prometheus.CounterValue, func(s backup.Status) float64 { return float64(s.Bytes) }},
	{"objects_total", "Objects written since the start.", prometheus.CounterValue, func(s backup.Status) float64 { return float64(s.Objects) }},
	{"holes_total", "Holes found since the start.", prometheus.CounterValue, func(s backup.Status) float64 { return float64(s.Holes) }},
	{"truncations_total", "Partition histories that a truncated source ended.", prometheus.CounterValue, func(s backup.Status) float64 { return float64(s.Truncated) }},
	{"retries_total", "Requests and store operations tried again.", prometheus.CounterValue, func(s backup.Status) float64 { return float64(s.Retries) }},
	{"store_errors_total", "Store operations that failed.", prometheus.CounterValue, func(s backup.Status) float64 { return float64(s.StoreErrors) }},
}

func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// Describe and Collect make metrics a prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect reads the status once.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	status := m.status()
	send := func(name, help string, kind prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("kafkadr_backup_"+name, help, nil, nil), kind, v)
	}
	for _, g := range gauges {
		send(g.name, g.help, g.kind, g.value(status))
	}
	send("snapshots_total", "Full snapshots committed since the start.", prometheus.CounterValue, float64(m.snapshots.Load()))
	send("flushes_total", "Other commits since the start.", prometheus.CounterValue, float64(m.flushes.Load()))
	send("lost_offsets_total", "Offsets lost to retention before they could be read.", prometheus.CounterValue, float64(m.lost.Load()))
}

// healthy says whether the last snapshot is young enough: at most three times
// --every, counted from the start before the first.
func (m *metrics) healthy() error {
	age, limit := time.Duration(m.status().SnapshotAge), 3*m.every
	if age < 0 {
		age = time.Since(m.started)
	}
	if age > limit {
		return fmt.Errorf("the last snapshot is %s old, more than %s", age.Round(time.Second), limit)
	}
	return nil
}

func (m *metrics) handler() http.Handler { return metricsHandler(m, m.healthy) }

// metricsHandler serves /metrics of a collector and /healthz, which is 503 where healthy has an
// error.
func metricsHandler(c prometheus.Collector, healthy func() error) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := healthy(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
	})
	return mux
}

// serveMetrics serves handler on addr, if there is one, while do runs.
func (a *app) serveMetrics(ctx context.Context, addr string, handler http.Handler, do func() error) error {
	if addr == "" {
		return do()
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("--metrics: %w", err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("metrics are no longer served", "err", err)
		}
	}()
	a.log.Info("serving metrics", "addr", listener.Addr().String())
	defer func() { _ = server.Close(); <-ended }()
	return do()
}

// checkAddress checks HOST:PORT or :PORT.
func checkAddress(a *app, flag, addr string) {
	if addr == "" {
		return
	}
	_, port, err := net.SplitHostPort(addr)
	if _, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil {
		a.fault("%s: want HOST:PORT or :PORT, got %q", flag, addr)
	}
}
