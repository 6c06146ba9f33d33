// Package backup copies a Kafka cluster into an archive: once ([Run]) or
// continuously ([Follower]), and checks what is there ([Verify]).
//
// # What is kept
//
// Record batches of the selected topics as the broker stores them, up to the
// last stable offsets: control batches and aborted ones included, with what
// tells them apart. Topics with their IDs and effective configs, consumer groups with
// their committed offsets (read before the end offsets), ACLs, quotas and the
// names of SCRAM users; what may not be read is recorded as unread, with the
// reason. A group that the source hasn't any more is kept for 30 days as absent
// since then; transactional commits under way are named and not taken; share
// groups are named.
//
// # What holds
//
// A snapshot of Run is a cut: the last stable offsets of all partitions, asked
// for once, at the start. A commit of a Follower holds every record that was
// stable Flush and a round trip to the store earlier, while the store keeps up;
// when it doesn't, the lag grows and memory doesn't. A position is never ahead of
// what is durable: what the store lost is read again. Every offset is in a
// batch, or in a hole with its reason: removed by retention before it could be read,
// compacted, or missing.
//
// A partition whose log was truncated (unclean election, restored disk) gets a
// new history, read from its log start; the old one stays restorable. A
// re-created topic is another incarnation.
//
// A partition that can't be read makes the snapshot incomplete, and that is said
// in the manifest, in the Result and as a *[PartialError].
//
// # Limits
//
// Memory: two fetch responses for each broker (FetchBytes each, a batch that is
// larger alone), the frames of one segment that fills and of one that
// closes. The source needs topic IDs in fetches (Kafka 3.1 or later) for a
// re-created topic to be told from the one before at once. A transaction that hangs holds the
// last stable offset back: Status.LSOLag says so. Rights needed on the source:
// Describe, DescribeConfigs and Read on topics, Describe on groups and the
// cluster.
package backup
