// Package exactcopy appends record batches to a target cluster at the offsets they have on the
// source, through the ordinary client protocol.
//
// A [Partition] is written front to back: batches as they are ([Partition.Append]), offsets that no
// consumer sees ([Partition.Hole]), and filler below the log's first record ([Partition.Fill]),
// which the caller removes with DeleteRecords. Where it goes on after a crash is the target's own
// true end ([Partition.Position]): no state is kept elsewhere.
//
// # Guarantee
//
// Records are appended once each, in order, at the offset that [Partition.Position] told, whatever
// breaks when, and however many processes of the same copy write at the same time. All of them use
// the same producer id and epoch in a partition, and the sequence follows from what the log holds:
// so the sequence is a compare-and-append. A request that comes late, or twice, is answered as a
// duplicate or refused by the leader. What comes in a place that it wasn't meant for is
// [ErrShifted], and nothing more is written there.
//
// Holes are markers of transactions that never were (WriteTxnMarkers). Kafka has no
// compare-and-append for them. Each carries an epoch of its own, and the data behind it one above:
// from then on whatever is late is refused. Markers are never sent again blindly; where their
// answer was lost, the log's end must have stood still first. What is left of the risk is found at
// once, as [ErrShifted], before data follows.
//
// On targets that deny ClusterAction and Alter on the cluster ([Copier.Method]), holes are empty
// transactions, one per offset: slower, and weaker, since a coordinator ends a dead process's
// transaction by itself. Opening the partition ends it first.
//
// # Jobs
//
// A [Translated] partition appends a job's records to a log that others write as well. Their
// ordinals are the sequences, what offsets they got is told ([Placed]), and can be read off the log
// again ([ReadPlaced]).
//
// # Limits
//
// A leader forgets a producer whose last batch is stamped more than a day ago, at its next look,
// every ten minutes: so with old data, always. Until a batch of ours has come again it takes any
// sequence. Nothing is sent behind what isn't on all replicas, and what isn't answered is looked up
// before it is sent again; but a dead process's request that the network holds back until the
// leader has forgotten is taken. The next batch finds that ([ErrShifted]); behind the last one
// nothing does.
//
// The rights needed are Read, Write and Describe on the topic, and ClusterAction or Alter on the
// cluster for markers, or Write and Describe on the transactional ids that begin with the copy's.
//
// One writer of other records in the partition shifts it: nobody else may produce to the topic
// until the copy is done. Batches with offsets missing inside, LogAppendTime or the control bit
// can't be produced: the caller encodes them anew. Batches of the transactional kind arrive as
// plain ones, with another producer id, epoch and sequence. A leader that was elected uncleanly may
// have lost what was appended: the partition ends with [ErrUndecided] where that shows. A target's
// records are as durable as its min.insync.replicas makes them.
package exactcopy
