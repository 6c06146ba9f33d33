// Package offsets carries positions from one cluster to another: which offset
// of a copy is which of its source, and what a group's committed offset
// becomes there.
//
// # Maps
//
// A [Map] says for one partition of one incarnation of a topic which record of
// the target is which of the source, as runs of consecutive offsets. It is
// exact for every offset, in both directions: a record's, one in a hole, one
// before the start or past the end; where it knows nothing, it says so. An
// exact copy needs none, [Exact] is its [Translator]; [Maps] translates through
// maps.
//
// # What holds
//
// A translated committed offset never skips a record of the copy that the
// group hasn't read, and never makes it read one again that it has; only
// "past_end" can, since the copy then doesn't have yet what the group has read.
// [How] says which case it is. A map of another incarnation is refused with an
// [*IncarnationError].
//
// # Groups
//
// [Capture] reads what groups have committed, [NewGroupsPlan] says what would be
// committed on another cluster, [GroupsPlan.Apply] does it and hands out what was
// there before, which [Rollback] restores. An active group, an offset below the
// one that is committed, a topic that was created again or isn't there are
// refused by name, before the first commit; an offset past the end becomes the end.
// Brokers take an admin's commit only while a group has no members, KIP-848
// ones included, so a group can't become active unseen. A consumer that
// assigns its partitions itself is no member, and isn't seen.
//
// Rights: Describe on groups and topics and on the cluster (to list them); to
// apply, Read on both; to roll back, Delete on groups too.
//
// # Limits
//
// A map is as right as what was appended to it: it is written by who copies,
// from where records landed, and not guessed from timestamps or counts. A map
// takes 24 bytes of memory for each run, and at most 8 more for what finds
// them; a copy without holes is one run.
package offsets
