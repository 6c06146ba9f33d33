// Package storagetest checks that a store can hold an archive.
//
// Run is the conformance suite for anyone's gocloud driver: create-only writes (one after another,
// at the same time, through several handles), reading and listing what was written, ranges, order,
// missing objects, cancelled writers, a large object, deletion; and an archive that is written,
// opened again and read.
package storagetest
