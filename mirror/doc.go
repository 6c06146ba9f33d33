// Package mirror copies a live Kafka cluster to a standby, offset for offset.
//
// A [Mirror] reads the source's record batches as they are and appends them at the same offsets on the standby, under the same names or behind a prefix. What no
// consumer sees (control records, aborted transactions, what compaction took) becomes a hole there. Topic configs, ACLs, quotas and the committed offsets of groups
// are kept in step beside it.
//
// # Where it goes on
//
// The standby's own log end is the position: a mirror that was killed and started again, anywhere, goes on exactly. What the log can't tell, whose copy it is, is noted on
// the standby in a topic of its own, `__kafkadr`, before the first record: so a topic that was re-created or truncated at the source is never copied onto the end of another.
//
// # Events
//
// What a mirror can't do exactly it doesn't do. A re-created topic, retention that overtook the mirror, a foreign writer on the standby and the like are an [Event]
// each, with a kind, a place, and a [Policy]: by default that partition stops and the others go on. Events reach [Hooks], the logger and [Status].
//
// # Rights
//
// On the source: Describe and Read on the topics, Describe on the cluster; DescribeConfigs for topic configs; Describe and Read on groups.
// On the standby: Create, Describe, DescribeConfigs, AlterConfigs, Alter, Read, Write and Delete (for DeleteRecords) on the topics and on `__kafkadr`; ClusterAction or Alter on
// the cluster for holes; Write and Describe on transactional ids that begin with `kafkadr-copy-`; Read and Describe on groups.
// [NewPlan] says which are missing.
//
// # Limits
//
// Records carry no transaction on the standby: a cut across partitions isn't atomic. Search by time may answer an earlier offset where a hole lies.
// Topics with LogAppendTime keep their times but not the type. Diskless and share-group state isn't carried.
package mirror
