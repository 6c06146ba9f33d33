// Package mirror copies a live Kafka cluster to a standby, offset for offset.
//
// A [Mirror] reads the source's record batches as they are and appends them at the same offsets on
// the standby, under the same names or behind a prefix. What no consumer sees (control records,
// aborted transactions, what compaction took) becomes a hole there. Topic configs, ACLs, quotas and
// the committed offsets of groups are kept in step beside it.
//
// # Where it goes on
//
// The standby's own log end is the position: a mirror that was killed and started again, anywhere,
// goes on exactly. What the log can't tell, whose copy it is, is noted on the standby in a topic of
// its own, `__kafkadr`, before the first record: so a topic that was re-created or truncated at the
// source is never copied onto the end of another.
//
// # Events
//
// What a mirror can't do exactly it doesn't do. A re-created topic, retention that overtook the
// mirror, a foreign writer on the standby and the like are an [Event] each, with a kind, a place,
// and a [Policy]: by default that partition stops and the others go on. Events reach [Hooks], the
// logger and [Status].
//
// What has stopped, what it means, and what to do. "Again" is [Mirror.Retry], or to stop the mirror
// and start it once more; a policy is one of [Config.Policies], or `kdr mirror --policy
// KIND=POLICY`. Look first: `kdr status` compares both clusters, whether the mirror runs or not.
// Before a copy is deleted, consider that what only it holds is gone then.
//
//	topic_recreated            another topic has the name now     begin anew: policy recreate; to keep the old copy, leave the topic out
//	topic_deleted              gone at the source                 nothing: the copy stays; policy delete takes it away
//	overtaken                  retention was quicker: a gap       accept the gap: policy go_on; give the source longer retention
//	truncated                  the source lost what was mirrored  the copy has more than the source: save it, delete the copy, again
//	foreign_writer             somebody writes to the copy        stop that writer, delete the copy, again
//	standby_ahead, shifted     offsets would be wrong             delete the copy, again
//	standby_back               the standby lost records           nothing: they are copied again
//	standby_deleted            the copy is gone                   policy go_on, or start again: it is made anew
//	stamped                    the copy's topic has times of its  set message.timestamp.type=CreateTime there, delete the copy, again
//	                           own: those of a batch are wrong
//	taken_over                 two mirrors of one flow            stop one of them; then again on the other
//	too_large                  the standby refuses a batch        raise max.message.bytes there; it is tried again by itself
//	denied, topic_refused      a right, a limit or a setting      grant or change what the detail names; it is tried again by itself, unless the policy is stop
//	failed                     anything else                      read the detail; it is tried again by itself
//	nothing_read               below the last stable offset   nothing, if tiered storage is slow: it is tried again; if the topic was compacted once: policy go_on
//	standby_trimmed            the standby deleted more       look at the copy's retention.ms and retention.bytes, and at who deletes records there
//	lso_stuck                  an open transaction at the source  end it there: kafka-transactions.sh find-hanging, abort
//	under_replicated           the standby lacks replicas         bring its brokers back; what is appended waits to be durable
//	coordinator_away           holes wait for the coordinator     bring back the brokers of the standby's __transaction_state
//
// # Configs that stay behind
//
// What is set on the source's topic is set on the copy, and cleanup.policy, retention.ms and
// retention.bytes as they are in effect where the standby's defaults differ. A new copy is held
// until it has caught up: nothing expires, nothing is compacted. So is a topic that exists and is
// empty; its configs are set before its first record. Left out are:
//
//	compression.type                          producer on the copy: batches stay as they were compressed
//	message.timestamp.type                    CreateTime on the copy: times stay the source's
//	message.timestamp.before.max.ms,
//	message.timestamp.after.max.ms            open on the copy, which must take every timestamp
//	message.timestamp.difference.max.ms       gone from Kafka 4; the copy takes every timestamp
//	message.downconversion.enable,
//	message.format.version                    gone from Kafka 4
//	leader.replication.throttled.replicas,
//	follower.replication.throttled.replicas   they name brokers of one cluster
//	unclean.leader.election.enable            losing records for availability is the standby's own decision
//	remote.storage.enable,
//	remote.log.copy.disable,
//	remote.log.delete.on.disable,
//	local.retention.ms, local.retention.bytes tiered storage is set up per cluster
//
// # Rights
//
// On the source: Describe and Read on the topics, Describe on the cluster; DescribeConfigs for
// topic configs; Describe and Read on groups. On the standby: Create, Describe, DescribeConfigs,
// AlterConfigs, Alter, Read, Write and Delete (for DeleteRecords) on the topics and on `__kafkadr`;
// ClusterAction or Alter on the cluster for holes; Write and Describe on transactional ids that
// begin with `kafkadr-copy-`; Read and Describe on groups. [NewPlan] says which are missing.
//
// # Limits
//
// Records carry no transaction on the standby: a cut across partitions isn't atomic. Search by time
// may answer an earlier offset where a hole lies. Topics with LogAppendTime keep their times but
// not the type. Diskless and share-group state isn't carried.
package mirror
