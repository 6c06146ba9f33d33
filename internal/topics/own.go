package topics

import (
	"fmt"
	"strings"
)

const (
	// Ledger is the topic in which kafkadr notes what copies a cluster holds.
	Ledger = "__kafkadr"
	// Canary is the topic that failover's probe writes to unless it is told another.
	Canary = "kafkadr-canary"
)

// never are Kafka's own topics that mean nothing on another cluster, with where their contents are
// kept instead.
var never = map[string]string{
	"__consumer_offsets":  "committed offsets are kept as those of their groups",
	"__transaction_state": "it is about producers of that cluster alone",
	"__share_group_state": "it is about share groups of that cluster alone",
	"__cluster_metadata":  "it is the controllers' log",
}

// InternalTopicError says that a topic was named that is Kafka's own and never copied.
type InternalTopicError struct {
	Topic string
	// Why says what its contents are about, or where they are kept instead.
	Why string
}

func (e *InternalTopicError) Error() string {
	return fmt.Sprintf("topic %q is Kafka's own and never copied: %s", e.Topic, e.Why)
}

// owned are topics that belong to one cluster and are copied only where they are named: those of
// Kafka, of kafkadr, of managed services and of tools that measure a cluster.
func owned(name string) bool {
	switch name {
	case "__remote_log_metadata", Canary,
		"__amazon_msk_canary", "__amazon_msk_canary_state", "__strimzi_canary", "__strimzi_store_topic",
		"__CruiseControlMetrics", "__KafkaCruiseControlPartitionMetricSamples", "__KafkaCruiseControlModelTrainingSamples":
		return true
	}
	return strings.HasPrefix(name, Ledger) || strings.HasPrefix(name, "__redpanda")
}
