// Package mirrorprom gives a mirror's status to Prometheus, with alert rules for it.
//
//	prometheus.MustRegister(mirrorprom.New(m, mirrorprom.Config{}))
//
// A [Collector] reads the status when it is scraped and keeps nothing running. It is a module of
// its own: the library links no metrics exporter.
//
// # Series
//
// All names begin with kafkadr_mirror_ and have the label flow, the mirror's name. The label topic
// is the source's name, partition its number. Offsets, lags and ages that aren't known have no
// series, rather than a made-up value. What is counted is counted since the mirror was started.
//
// A mirror has some 75 series; each topic adds 9, each partition 14. [Config] bounds them: above
// MaxPartitions partitions there are none per partition, above MaxTopics topics none per topic, and
// kafkadr_mirror_partition_series and kafkadr_mirror_topic_series are 0.
//
// # Rules
//
// [Rules] are alert rules in Prometheus' own format, to be used as they are or with other
// thresholds. Rules that need series per partition say so; the others hold for any size.
package mirrorprom
