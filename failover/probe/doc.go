// Package probe says whether a Kafka cluster can be used.
package probe
