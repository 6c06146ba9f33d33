// Package ledger reads and writes what kafkadr notes on a cluster about the copies it holds there:
// a compacted topic of one partition, [Topic].
//
// An entry is a key, `kind/…`, and a JSON object. The object carries a version, `v`, which the
// package adds and checks; a later version than [Version] is a [*VersionError] where the entry is
// used. What lies in the topic is hostile until checked: sizes are bounded, records that can't be
// entries are skipped, and unknown fields are ignored.
//
// Several processes may write at once: per key the last write wins, and [Ledger.Refresh] sees the
// others'. FORMAT.md lists the keys.
package ledger
