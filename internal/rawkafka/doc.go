// Package rawkafka fetches and produces raw record batches over kgo's
// brokers: leaders, retries, throttling, deadlines.
package rawkafka
