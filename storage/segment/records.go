package segment

import (
	"github.com/twmb/franz-go/pkg/kgo"
)

// AppendBatch appends to dst one batch of magic 2 that holds rs, from base
// offset base, compressed by codec. Records' Offset gives their place: it must be
// ascending and at least base (all zero: base, base+1, …). Timestamps are taken from Timestamp,
// in milliseconds, before 1970 included. The batch has no producer and leader epoch -1.
func AppendBatch(dst []byte, base int64, codec kgo.CompressionCodec, rs ...*kgo.Record) ([]byte, error) {
	panic("TODO")
}

// DecodeBatch decodes the batch's records: offsets, timestamps and leader epochs as
// stored, control records included (check Attrs.IsControl), whether aborted or not. It never makes more
// than max bytes of decompressed records (0: 256 MiB).
func DecodeBatch(b Batch, max int) ([]*kgo.Record, error) { panic("TODO") }

// ConvertLegacy re-encodes message sets of magic 0 and 1 at the front of raw as one batch of
// magic 2 each, offsets and timestamps unchanged.
func ConvertLegacy(raw []byte) ([]byte, error) { panic("TODO") }

// ControlType is the type of a control batch's marker: 0 abort, 1 commit.
func (b Batch) ControlType() (int16, error) { panic("TODO") }

// ForProduce appends to dst a copy of the batch as a producer sends it: base offset 0,
// leader epoch -1, the given producer id, epoch and base sequence, not transactional, CRC computed anew.
// A batch with holes inside or with LogAppendTime can't be sent; that is the caller's to see to.
func (b Batch) ForProduce(dst []byte, producerID int64, epoch int16, sequence int32) []byte {
	panic("TODO")
}

// AbortTracker decides, batch by batch in offset order, which batches are aborted.
// The zero value knows of no transaction.
type AbortTracker struct{}

// Add notes aborted transactions; known ones are ignored.
func (t *AbortTracker) Add(txns ...AbortedTxn) { panic("TODO") }

// Aborted says whether the batch belongs to an aborted transaction, and takes note of control batches.
// Batches must be offered in offset order, each once.
func (t *AbortTracker) Aborted(b Batch) bool { panic("TODO") }

// Open returns the transactions that still matter for batches from offset on:
// those to note in a run that begins there.
func (t *AbortTracker) Open(offset int64) []AbortedTxn { panic("TODO") }
