// Package segment is the format of the objects that hold record batches:
// batches, index, aborted transactions. It knows no bucket and no client. The
// batches themselves are of [github.com/kafkadr/kafkadr/storage/batch].
//
// # Layout
//
// A segment holds runs of one or many partitions. A run is consecutive
// batches of one partition, cut into frames, which can be read alone:
//
//	header      16 bytes: "KDRSEG", version
//	frames      whole record batches as the broker stored them, or zstd of these
//	run blocks  per run: facts, aborted transactions, where its frames lie, their SHA-256
//	directory   per run: facts, length and SHA-256 of its block
//	footer      128 bytes: where the parts lie, SHA-256 of the directory, version, SHA-256 of itself
//
// Frames have no headers: a segment of one partition that isn't compressed is
// a pure Kafka log from byte 16 up to its run block. FORMAT.md in the module's
// root has every byte.
//
// # Guarantee
//
// Batches come back byte for byte, offsets and leader epochs included, or not
// at all: every byte of the object is covered by a digest that is checked
// before what it covers is used. What a manifest says of a run vouches for
// all of its bytes through [Block]. Bytes from outside are decoded in bounded
// memory and without panics; damage is a *[DamageError] that names partition
// and offsets. A format version is read for ever; a newer one is refused with
// a *[VersionError].
//
// # Limits
//
// Digests find damage, and don't prove who wrote: that is the manifest's
// part. A Writer holds at most Options.BufferBytes of batches, some 100 bytes for each
// frame written, and the aborted transactions.
package segment
