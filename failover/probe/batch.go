package probe

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	lengthFrom = 12 // the length counts what follows it
	crcAt      = 17
	crcFrom    = 21 // the CRC is of everything from the attributes on
)

// batchOf is a record batch (magic 2) with one record, uncompressed, of no producer ID.
func batchOf(key, value []byte, now time.Time) []byte {
	r := kmsg.Record{Key: key, Value: value}
	r.Length = int32(len(r.AppendTo(nil)) - 1) //nolint:gosec // a canary is short; a length of 0 takes one byte
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, FirstTimestamp: now.UnixMilli(), MaxTimestamp: now.UnixMilli(),
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: 1, Records: r.AppendTo(nil),
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[lengthFrom-4:], uint32(len(raw)-lengthFrom)) //nolint:gosec // short
	binary.BigEndian.PutUint32(raw[crcAt:], crc32.Checksum(raw[crcFrom:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}
