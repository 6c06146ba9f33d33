// Package bench measures kafkadr against named limits on a real Kafka: it
// prints the table of the README. It holds tests alone, run by make bench.
//
// A figure is the ratio of two jobs that ran in turn, in the same run, each
// in a process of its own, as MirrorMaker 2 is. The limit of backup is a program that fetches raw,
// checks each batch's CRC, writes and fsyncs the same bytes; that of restore and mirror
// reads prebuilt batches from files and produces them, five requests in flight; that of verify
// reads the same files through SHA-256 and CRC-32C; that of a backup to
// MinIO uploads objects of the same size and number; that of a failover client is plain kgo.
package bench
