// Package storage keeps backups of Kafka clusters in a bucket: an archive.
//
// An [Archive] holds one [Lineage] for each source cluster. A [Writer] puts record batches into
// segments (package segment) and names them in a commit; each commit is a restore point, a
// [Snapshot], full or a flush (data alone). Snapshots are read on demand: topics, partitions, runs,
// groups; and by a [Cursor], batch by batch. FORMAT.md of the project describes every byte.
//
// # Guarantee
//
// A commit is one create-only object, written last: what it names is durable before, and a reader
// sees all of it or nothing. A process that is killed at any point leaves nothing that has to be
// cleaned up before the next one goes on. Two writers never both commit: the newest claim wins, the
// older one gets a [FencedError] that names who took over. Nothing is overwritten, and nothing is
// removed but by [Archive.Sweep], which claims the lineage as a writer does. Every byte that is
// read is checked against the digests that the commit vouches for, or the error is a [DamageError].
// A commit is refused where it would leave an offset unexplained. Commits share what didn't change:
// with 10 000 partitions of which 10 changed, one writes three objects at most and about 40 KiB of
// manifest.
//
// # Store
//
// A store must create objects only where none is (WriterOptions.IfNotExist), show what was written
// to reads and listings at once, and read by range: package storagetest checks that; package
// filestore is such a store in a directory. [Open] tries create-only and refuses a store that
// ignores it. Answers of a store aren't believed: what was written is read back, so failures after
// success and successes without effect are both found out.
//
// # Limits
//
// A deleted newest flush can't be told from one that was never made; newest full snapshots have a
// witness, so [Archive.VerifyChain] finds them gone. The bucket's contents as a whole, put back to
// an older state, are an older archive. A manifest's value, such as a group's offsets or all ACLs,
// has at most 16 MiB. Memory: a Writer holds the nodes of one commit, an Archive 4 MiB of
// manifests, a Cursor the frames it reads ahead, a SegmentWriter its buffers ([segment.Options])
// and the parts under way.
package storage
