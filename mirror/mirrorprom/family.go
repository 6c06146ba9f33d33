package mirrorprom

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// family is a metric and how it is read from a status. Where known says no, there is no series.
type family[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(T) (v float64, known bool)
}

// gauge and counter are families of what is always known.
func gauge[T any](d *prometheus.Desc, value func(T) float64) family[T] {
	return family[T]{d, prometheus.GaugeValue, func(t T) (float64, bool) { return value(t), true }}
}

func counter[T any](d *prometheus.Desc, value func(T) int64) family[T] {
	return family[T]{d, prometheus.CounterValue, func(t T) (float64, bool) { return float64(value(t)), true }}
}

// maybe is a gauge of a number that is negative while it isn't known, times scale.
func maybe[T any](d *prometheus.Desc, scale float64, value func(T) float64) family[T] {
	return family[T]{d, prometheus.GaugeValue, func(t T) (float64, bool) {
		v := value(t)
		return v * scale, v >= 0
	}}
}

// desc describes a metric of a mirror; the label flow comes before the others.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kafkadr_mirror_"+name, help, slices.Concat([]string{"flow"}, labels), nil)
}

func describe[T any](ch chan<- *prometheus.Desc, fs []family[T]) {
	for _, f := range fs {
		ch <- f.desc
	}
}

func collect[T any](ch chan<- prometheus.Metric, fs []family[T], status T, labels ...string) {
	for _, f := range fs {
		if v, known := f.value(status); known {
			ch <- prometheus.MustNewConstMetric(f.desc, f.kind, v, labels...)
		}
	}
}

// send sends a gauge.
func send(ch chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}
