package segment

import (
	"encoding/base64"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// Partition names one partition of one incarnation of a topic. Names of
// topics don't occur in segments: a deleted and re-created topic has another ID.
type Partition struct {
	Topic     kadm.TopicID
	Partition int32
}

// String is the topic ID as Kafka writes it, a slash, and the partition.
func (p Partition) String() string {
	return fmt.Sprintf("%s/%d", base64.RawURLEncoding.EncodeToString(p.Topic[:]), p.Partition)
}

// Digest is a SHA-256.
type Digest = [32]byte

// Block says where in an object a run's index lies, and its digest, so that
// a manifest that holds a Block vouches for every byte of the run.
type Block struct {
	Position int64
	Length   int32
	SHA256   Digest
}

// RunInfo is what the directory says of a run: consecutive batches of one
// partition in one object.
type RunInfo struct {
	Partition
	// BaseOffset is the first batch's base offset, EndOffset one past the
	// last batch's last offset.
	BaseOffset, EndOffset int64
	// Records counts records, control records and aborted ones included.
	Records int64
	// Bytes is the length of the run's batches, before compression of frames.
	Bytes int64
	// Missing counts the offsets in [BaseOffset, EndOffset) that no record
	// has: removed by compaction, between batches or inside them.
	Missing int64
	// HoleRuns is an upper bound of the number of maximal ranges of offsets
	// without a visible record (missing, control or aborted) in the run. It is
	// exact but for batches that offsets are missing inside of, which count
	// as many ranges as there can be, and for aborted transactions that were
	// noted only after their batches.
	HoleRuns int64
	// MinTimestamp is the smallest first-record timestamp of the run's
	// batches and MaxTimestamp the largest of all records, in milliseconds.
	// A record inside a batch may be earlier than MinTimestamp, none is later
	// than MaxTimestamp. Where the broker stamped a batch (LogAppendTime), both
	// take the stamp.
	MinTimestamp, MaxTimestamp int64
	// LeaderEpoch is the last batch's.
	LeaderEpoch int32
	// MaxBatch is the length in bytes of the run's largest batch.
	MaxBatch int32
	// Block is where the run's index lies.
	Block Block
}

// Run is a run with its index.
type Run struct {
	RunInfo
	// Aborted lists the aborted transactions that overlap the run, by first offset.
	Aborted []batch.AbortedTxn
	// Frames are the run's frames in offset order.
	Frames []Frame
}

// Frame is a range of an object's bytes: whole batches of one run, optionally
// compressed, with their digest. It can be read alone.
type Frame struct {
	// Position and Length say where the stored bytes lie.
	Position int64
	Length   int32
	// RawLength is the length of the batches.
	RawLength int32
	// Codec is the frame's compression: 0 none, 4 zstd.
	Codec uint8
	// KeyID is reserved for encryption and is 0.
	KeyID uint32
	// SHA256 is the digest of the stored bytes.
	SHA256 Digest
	// BaseOffset is the first batch's, EndOffset one past the last offset.
	BaseOffset, EndOffset int64
	// MinTimestamp and MaxTimestamp are as in [RunInfo].
	MinTimestamp, MaxTimestamp int64
	// Records counts the frame's records.
	Records int64
}
