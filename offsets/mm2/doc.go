// Package mm2 reads what MirrorMaker 2 keeps on its target, and translates the
// offsets of consumer groups by it when the source is gone.
//
// [Open] reads the checkpoints, the offset syncs where they are on the target
// (offset-syncs.topic.location=target), Connect's offsets and the heartbeats. [Translator.Groups]
// says what became of each group's offsets, and [Translator.Translate] of any one offset. Each
// answer names its evidence. To commit them, make a plan of [Translator.Captured] through the
// Translator ([offsets.NewGroupsPlan], [offsets.Through]). The Decode functions and [Policy] are of
// use by themselves; [Store] is MirrorMaker's own translation, to compare with.
//
// # Answers
//
//   - exact: the target has the record of this offset, or the end, here.
//   - next: the source had no record at this offset that was mirrored; the next one is here.
//   - before_start: the target's log starts behind the place.
//   - past_end: the offset is behind all that was mirrored; the target's end.
//   - at_or_before ([HowAtOrBefore]): nothing is skipped, but some may be read
//     again; at least as near as MirrorMaker's own answer.
//   - unknown: the target has no such partition, or MirrorMaker says nothing of it.
//
// # What is known
//
// An offset sync (u, d) is a fact: the record at u was acknowledged at d. A
// checkpoint (u, d) is a bound: it rests on a sync at or before u, so the
// first record at or behind u isn't before d. Every checkpoint still in the
// topic is one, of any group and overwritten or not.
//
// # What is proof
//
// Let n be the records of the target between two known places, and m the
// source offsets between them. n equal to m isn't proof that each offset has
// its record: a gap in the source makes n less, a MirrorMaker that was killed
// and copies again what it hadn't committed makes n greater, and the two can
// cancel out. So the records between are read and compared, by key, value,
// headers and time: with no two equal, nothing is there twice, and then n can't
// exceed m, at any place between. From the right place backwards this gives the
// bound "not before", from the left one forwards "not behind"; where they
// meet the answer is exact. Offsets without a record (an exactly-once
// MirrorMaker's transaction markers) don't count.
//
// Why equal records are all there is to look for: copying goes back only to an
// offset it has passed, and then comes by the last record before that again,
// before it can come to the right place; so two equal records lie between the
// left place and the right one, both included. That takes a left place of
// which the record is known: an offset sync, or the beginning of the log.
// Without either (retention took it), and for a right place that is a
// checkpoint unless all from the beginning is read, there is no proof.
//
// A MirrorMaker that died *while* it copied again leaves records that only the
// first copying holds; starting behind them skips them. Its mark is that the
// target's last record is there earlier as well. That is looked for wherever
// the offset syncs don't exclude it: without any, in all of the log.
//
// Where MirrorMaker has committed behind its last record, mm2-offsets names
// the source offset of the target's last record: one more known place. The
// target doesn't tell whether it has, since records mirrored after the commit look like
// those before; so the caller says so ([Config.Drained]). Stopping MirrorMaker
// by SIGTERM before translating makes it so.
//
// # What it rests on
//
// Nothing on the target shows a breach of these, and MirrorMaker's own answers
// rest on them as well:
//
//   - Only this flow writes to the target's topic, with a producer that keeps the order (Connect's defaults do).
//   - Neither topic was made anew, or cut off by an unclean election, while the
//     flow went on with its old offsets. It is seen, and answered with the start of the log,
//     where something was noted beyond the target's end.
//   - The source isn't compacted: MirrorMaker keeps cleanup.policy in step, and
//     nothing is proved where the target's isn't "delete".
//   - What was being copied again when MirrorMaker died began at an offset whose first copy the target's
//     retention had not yet taken.
//   - The checkpoints are of Kafka 3.5 or later (or 3.4.1): those before could be wrong.
//
// Where records can't be read or compared (Config.MaxScan, a compacted topic) a MirrorMaker that
// died while it copied again isn't found out, and its checkpoints are believed as its own clients
// do; a group at the end is "at_or_before" then, and its evidence says so.
package mm2
