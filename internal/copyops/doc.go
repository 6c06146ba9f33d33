// Package copyops turns the batches of a partition's log into what an exact copy of it is made of:
// batches that a broker takes at their offsets, and holes where no consumer sees a record.
//
// From whatever offset a [Stream] starts, it yields the suffix of what it would yield from the
// log's start: so the target's own end is all that a copy needs to go on. Batches stay as they are
// unless a broker wouldn't take them (offsets missing inside, LogAppendTime, the cleaner's delete
// horizon), they begin before the start, or a [Filter] looks inside.
package copyops
