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
// # Limits
//
// A map is as right as what was appended to it: it is written by who copies,
// from where records landed, and not guessed from timestamps or counts. A map
// takes 24 bytes of memory for each run, and at most 8 more for what finds
// them; a copy without holes is one run.
package offsets
