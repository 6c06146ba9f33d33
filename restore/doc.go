// Package restore brings a snapshot back into a Kafka cluster, record for record and offset for offset, or reads it with no cluster at all.
//
// [NewPlan] looks at snapshot and target and says what [Plan.Run] would do, and why it would refuse: [Plan.Conflicts]. Run carries it out. A run
// that was interrupted, by whatever, is completed by another plan and run: there is no state but the target's own end offsets.
// [Release] gives topics back the policies that Run held. [Records] reads records from the archive alone.
//
// # Guarantee
//
// A consumer of the target, at either isolation level, sees what a read_committed consumer of the source saw up to the snapshot's cut: the same records
// at the same offsets, with timestamps, keys, values and headers. Log start offsets and end offsets are the source's, so committed offsets need no
// translation. Record batches travel as the source's broker stored them; they are decoded and encoded again, in their own compression,
// only where a broker wouldn't take them: where compaction left holes in them, where the log starts inside one, with LogAppendTime, and where [Config.Until] or [Config.Edit] filters.
//
//   - What has no visible record (control records, aborted transactions, what compaction and filters took) becomes a hole: transaction
//     markers, which no consumer sees. Below the log start offset there is filler for a moment, then DeleteRecords takes it away.
//   - Run goes on at the target's true end. That what is there is ours is checked by content: the last 3 batches and 16 spread ones per
//     partition, or all ([Config.VerifyTarget]). Anything else is a conflict of kind foreign_records, before the first effect.
//   - No damaged byte is produced: objects are checked for existence and size before the first effect, each frame against its digest
//     before its first batch; [Config.VerifyFirst] reads all before.
//   - Two restores of the same snapshot at once do no harm: each appends only what the other hasn't.
//
// # Policies that are held
//
// While they are copied, topics have cleanup.policy=delete, no retention, open timestamp limits, CreateTime, and a max.message.bytes that takes their largest batch. At
// the end of Run they get their own configs, with those set explicitly that the source's topic inherited and that could delete, refuse or change records on the target: retention, cleanup.policy,
// timestamp limits and type, max.message.bytes, compression.type. Where restored records would expire at once (older than retention.ms, a partition larger
// than retention.bytes, or a compacted topic with records) retention, cleanup.policy and timestamp limits stay held until [Release]. Plan and result name them.
//
// # Limits
//
//   - Markers carry the target's clock. A search by time (ListOffsets) behind holes can answer an earlier offset than on the source, never a later one; time-based
//     retention comes later, never earlier. The archive knows the true times.
//   - A LogAppendTime topic's records keep the times that consumers saw, as CreateTime; the topic has its type back for what comes after.
//   - Atomicity of a transaction across partitions isn't kept at the cut, nor by Until. Producer ids and leader epochs are the target's.
//   - Holes cost a round trip each: the plan estimates them, and refuses beyond [Config.MaxHoleTime].
//   - Where ClusterAction and Alter on the cluster are denied, holes are made by transactions: slower, and weaker if the process dies in one. The plan says so.
//   - Quotas and SCRAM users aren't restored, and named.
//   - Until judges records by their timestamp wherever they lie, so a late record in the middle of a log becomes a hole, and an early one behind it stays.
package restore
