// Package failover moves applications from one Kafka cluster to another.
package failover
