// Package rawkafka speaks Kafka's protocol to single brokers through kgo, for
// jobs that move record batches as they are.
//
// # What it gives
//
// A [Cluster] knows the leaders of partitions, lists offsets (the leader's
// true log end included), asks where leader epochs end, and sends single
// requests to single brokers. A [Fetcher] reads many partitions as raw record
// batches, in order, each batch whole and its CRC-32C checked, in bounded
// memory.
//
// # Errors
//
// [Connect] fails with a *[ConnectError] whose Kind says what is wrong. Other
// errors wrap kerr's and the network's; [Retriable] says which of them may go
// away by themselves. No error holds a secret.
//
// # Limits
//
// A response is held in memory whole, so a batch of 100 MB is the largest that
// can be read, as in Kafka itself (kgo.BrokerMaxReadBytes).
package rawkafka
