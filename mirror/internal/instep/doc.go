// Package instep keeps what belongs to mirrored topics in step from a source to a standby cluster:
// their configs ([Configs]), ACLs ([ACLs]), client quotas ([Quotas]) and the committed offsets of
// groups ([Groups]).
//
// Each is a [Syncer]: it reads both sides, computes what differs as plain data (a plan, which can
// also be had alone), and applies it. What goes wrong with one topic, entry or group is an [Event]
// and holds nothing else up; an error means that a side couldn't be read at all, and that the next
// Sync tries again. Nothing on the standby is removed but what was set from here: the names are
// kept in the standby's ledger, written before the thing itself.
package instep
