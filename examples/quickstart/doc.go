// Command quickstart tells the whole story of two disasters and what comes
// after in one process that needs nothing but Go.
//
//	go run ./examples/quickstart
//
// First act: a Kafka cluster under load is backed up continuously, stopped at
// a moment that nobody announced, and restored onto a second cluster, where
// the consumer groups go on. Every record below the last flush is at its
// offset, none is lost, doubled or moved, and what wasn't flushed yet is listed
// by offset.
//
// Second act: a mirror keeps a standby level with a primary, which is killed
// under an application. A controller switches, and the application goes on at
// the standby: every record that was acked is there, once, in the order of its
// key, and the group goes on where it was.
//
// All of that is checked, by content, and the program exits non-zero if any
// check fails.
//
// Read it in this order: main.go is the first act, backup.go and recover.go its
// few calls of the library, load.go and groups.go the applications, ledger.go
// and proof.go the check. survival.go is the second act, mirror.go, controller.go
// and shop.go its calls of the library, book.go the check. All clusters are
// kfake, a Kafka inside the process; with a real one, only the addresses differ.
package main
