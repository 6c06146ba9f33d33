// Package kafkadr is the root of a library for the disaster recovery of Apache Kafka: it backs a
// cluster up into any object store or directory, restores it so that consumers can't tell the copy
// from the first, and mirrors a live one to a standby. This package has no code; it is the map.
//
// # What is preserved
//
// Per partition: every committed record at its offset, in its order, with key, value, headers
// (doubled, null, not UTF-8), timestamp and batch boundaries as the broker stored them; the log
// start offset; and the place of every offset that holds no record (compacted away, control record,
// aborted), so that a group's committed offset means the same record on the copy. Per cluster:
// topics with their effective configurations, partitions and replication, ACLs, quotas, and the
// offsets of groups. A snapshot is a cut: the last stable offsets of all partitions, taken once.
//
// # What is not
//
//   - Passwords: SCRAM users are recorded by name only.
//   - Topic IDs, leader epochs and producer ids belong to a cluster; the copy has its own.
//   - The timestamp type: records of a LogAppendTime topic keep the time that consumers saw, as CreateTime.
//   - A search by time may land earlier on the copy than on the source, behind old holes; never later.
//   - Records of a transaction that was open at the cut, and the atomicity of a transaction across partitions there.
//
// # Packages
//
//   - [github.com/kafkadr/kafkadr/backup]: take one snapshot, or follow a cluster; verify what is stored
//   - [github.com/kafkadr/kafkadr/restore]: plan and restore into a cluster, or read the records with no cluster at all
//   - [github.com/kafkadr/kafkadr/mirror]: a live copy on a standby, with configs, ACLs, quotas and groups kept in step
//   - [github.com/kafkadr/kafkadr/failover]: a client that follows whichever cluster is active; failover/control, planned and unplanned switches; failover/register, probe and drill
//   - [github.com/kafkadr/kafkadr/offsets]: exact maps of offsets, and plans for the offsets of groups; offsets/mm2 reads MirrorMaker 2's
//   - [github.com/kafkadr/kafkadr/storage]: the archive in a bucket: snapshots, commits, sweep
//   - [github.com/kafkadr/kafkadr/storage/segment]: the format of the objects that hold the records; storage/batch, Kafka's record batch alone
//   - [github.com/kafkadr/kafkadr/storage/filestore]: a durable store in a directory
//   - [github.com/kafkadr/kafkadr/restore/restoretest]: archives as fixtures of your own tests
//
// The program examples/kdr shows how they compose; examples/quickstart tells the whole story in one
// process.
package kafkadr
