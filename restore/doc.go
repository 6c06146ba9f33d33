// Package restore brings a snapshot back into a Kafka cluster, record for record and offset for
// offset, or reads it with no cluster at all.
//
// [NewPlan] looks at snapshot and target and says what [Plan.Run] would do, and why it would
// refuse: [Plan.Conflicts]. Run carries it out. A run that was interrupted, by whatever, is
// completed by another plan and run: there is no state but the target's own end offsets. [Release]
// gives topics back the policies that Run held. [Records] reads records from the archive alone.
//
// # Guarantee
//
// A consumer of the target, at either isolation level, sees what a read_committed consumer of the
// source saw up to the snapshot's cut: the same records at the same offsets, with timestamps, keys,
// values and headers. Log start offsets and end offsets are the source's, so committed offsets need
// no translation. Record batches travel as the source's broker stored them; they are decoded and
// encoded again, in their own compression, only where a broker wouldn't take them: where compaction
// left holes in them, where the log starts inside one, with LogAppendTime, and where [Config.Until]
// or [Config.Edit] filters.
//
//   - What has no visible record (control records, aborted transactions, what compaction and filters took) becomes a hole: transaction
//     markers, which no consumer sees. Below the log start offset there is filler for a moment, then DeleteRecords takes it away.
//     Brokers write a log start down once a minute: where all of a partition's, or its only one, are killed within that after Run's end, filler may come back. Run it again then.
//   - Run goes on at the target's true end. That what is there is ours is checked by content: the last 3 batches and 16 spread ones per
//     partition, or all ([Config.VerifyTarget]). Anything else is a conflict of kind foreign_records, before the first effect.
//   - No damaged byte is produced: objects are checked for existence and size before the first effect, each frame against its digest
//     before its first batch; [Config.VerifyFirst] reads all before.
//   - Two restores of the same snapshot at once do no harm: each appends only what the other hasn't.
//   - At the end, the target's ledger (the topic __kafkadr) notes which topics are exact copies, and up to where: offsets.Open and kdr translate answer from it. Without rights to
//     __kafkadr that is a warning.
//
// # Translated offsets
//
// With [Config.Offsets] Translated, records are appended to topics that hold others already, while
// anybody else writes to them too: visible records only, in the archive's order, without holes or
// filler; no log start is moved. Where each went is in [Result.Maps], one [offsets.Map] per
// partition, and in the target's ledger (the topic __kafkadr), from where offsets.Open answers for
// consumers, kdr translate and later restores. Groups are translated by it. Nothing is put into
// records, so what was restored can be backed up, restored and translated again, also back to where
// it came from.
//
//   - Each record is appended once, through any crash and by however many processes at once: the batch header's producer id names the job, its sequence counts the job's
//     records, and a leader takes each once and in order. A run that was interrupted is completed by another, which finds the job's batches on the target from where the ledger says that it
//     began, compares samples of them with the archive (all with VerifyTarget), and derives the map from both.
//   - The same job again does nothing. Another snapshot, or the same into a topic that was created again, is another job and is appended behind.
//   - What the target's cleaner or retention took of the job meanwhile isn't appended again; offsets of whole batches that are gone translate to the next record.
//     If the last ones of a job are deleted, and a day later the leader has forgotten their producer, a job that wasn't done appends them again.
//   - Topics that exist keep their configs. The plan refuses where their timestamp limits, or a record without a key in a compacted topic, would fail the job, and warns where their retention may delete restored
//     records, and where LogAppendTime stamps them anew. Topics that don't exist are made and held as below.
//   - Partition counts must be equal. Edit must be the same when a job is gone on with. Read, Write, Describe and Create on __kafkadr are needed.
//
// # Policies that are held
//
// While they are copied, topics have cleanup.policy=delete, no retention, open timestamp limits,
// CreateTime, and a max.message.bytes that takes their largest batch. At the end of Run they get
// their own configs, with those set explicitly that the source's topic inherited and that could
// delete, refuse or change records on the target: retention, cleanup.policy, timestamp limits and
// type, max.message.bytes, compression.type. Where restored records would expire at once (older
// than retention.ms, a partition larger than retention.bytes, or a compacted topic with records)
// retention, cleanup.policy and timestamp limits stay held until [Release]. Plan and result name
// them.
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
