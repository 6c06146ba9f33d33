// Package batch is Kafka's record batch (magic 2): its header, its records, its CRC, and which
// batches belong to aborted transactions. It knows no broker, no bucket and no client.
//
// # Guarantee
//
// A [Batch] aliases the bytes that it was made from and never changes them; [Batch.Readdress] alone
// writes, and says so. What [Append] encodes, [Decode] decodes to the same keys, values, headers,
// offsets and timestamps: null stays null, empty stays empty, a timestamp may be any int64 of
// milliseconds. Bytes from outside are decoded in bounded memory and without panics: a count or
// length that the bytes can't hold is an [*Error], records that would decompress beyond the limit
// are [ErrTooLarge]. A CRC that was wrong stays wrong through [Batch.ForProduce], for the broker to
// refuse.
//
// # Errors
//
// Everything malformed is an [*Error], which names the base offset that the batch claims. Bytes
// that end inside a batch, as those of a fetch response may, are [ErrShort].
//
// # Limits
//
// Parsing checks the header, not the CRC: that is [Batch.CheckCRC]. Messages of magic 0 and 1 must
// go through [ConvertLegacy] first; it can't convert lz4 sets of magic 0, whose frame checksum was
// computed otherwise. [Append] writes batches without a producer, of type CreateTime.
package batch
