package failoverprom

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// family is a metric and how it is read from a status. Where known says no, there is no series.
type family[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) (v float64, known bool)
}

func gauge[T any](name, help string, value func(T) float64) family[T] {
	return family[T]{desc(name, help), prometheus.GaugeValue, func(t T) (float64, bool) { return value(t), true }}
}

func counter[T any](name, help string, value func(T) int64) family[T] {
	return family[T]{desc(name, help), prometheus.CounterValue, func(t T) (float64, bool) { return float64(value(t)), true }}
}

// maybe is a gauge that may not be known.
func maybe[T any](name, help string, value func(T) (float64, bool)) family[T] {
	return family[T]{desc(name, help), prometheus.GaugeValue, value}
}

// desc describes a metric; the label scope comes before the others.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kafkadr_failover_"+name, help, slices.Concat([]string{"scope"}, labels), nil)
}

// collector is a prometheus.Collector of something that has a status.
type collector[S any] struct {
	status   func() S
	scope    func(*S) string
	families []family[*S]
	// labeled are metrics with further labels, which send sends.
	labeled []*prometheus.Desc
	send    func(s *S, to func(d *prometheus.Desc, v float64, labels ...string))
}

// Describe sends all descriptors.
func (c *collector[S]) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range c.families {
		ch <- f.desc
	}
	for _, d := range c.labeled {
		ch <- d
	}
}

// Collect reads the status once.
func (c *collector[S]) Collect(ch chan<- prometheus.Metric) {
	s := c.status()
	scope := c.scope(&s)
	for _, f := range c.families {
		if v, known := f.value(&s); known {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, v, scope)
		}
	}
	c.send(&s, func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, slices.Concat([]string{scope}, labels)...)
	})
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// unix is a time as Unix seconds; a zero one isn't known.
func unix(t time.Time) (float64, bool) { return float64(t.UnixMilli()) / 1000, !t.IsZero() }
