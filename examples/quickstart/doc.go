// Command quickstart tells the whole story of a disaster and its recovery in
// one process that needs nothing but Go: a Kafka cluster under load is backed
// up continuously, stopped at a moment that nobody announced, and restored
// onto a second cluster, where the consumer groups go on.
//
//	go run ./examples/quickstart
//
// It then proves what came back: every record below the last flush is at its
// offset, none is lost, doubled or moved, and what wasn't flushed yet is
// listed by offset. It exits non-zero if any check fails.
//
// Read it in this order: main.go is the story, backup.go and recover.go the
// few calls of the library, load.go and groups.go the applications, ledger.go
// and proof.go the check. Both clusters are kfake, a Kafka inside the process;
// with a real one, only the addresses differ.
package main
