package failover

import (
	"math"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pinning is the application's partitioner, but for records that are produced again: they go to the
// partition that they had, where their order is.
type pinning struct{ kgo.Partitioner }

// ForTopic implements kgo's interface. Which of its optional interfaces a partitioner has matters
// to kgo.
func (p pinning) ForTopic(topic string) kgo.TopicPartitioner {
	inner := p.Partitioner.ForTopic(topic)
	pinned := pinningTopic{inner}
	backup, hasBackup := inner.(kgo.TopicBackupPartitioner)
	batch, hasBatch := inner.(kgo.TopicPartitionerOnNewBatch)
	switch {
	case hasBackup && hasBatch:
		return struct {
			pinningBackup
			kgo.TopicPartitionerOnNewBatch
		}{pinningBackup{pinned, backup}, batch}
	case hasBackup:
		return pinningBackup{pinned, backup}
	case hasBatch:
		return struct {
			pinningTopic
			kgo.TopicPartitionerOnNewBatch
		}{pinned, batch}
	}
	return pinned
}

// A record of the client's own carries its marks to the partitioner in its offset, which is below
// noOffset, and in its leader epoch: kgo sets both with its answer, and an application's records,
// through [Client.Do], have no such offsets. Contexts won't do: kgo holds on to them when records
// are over.
const (
	noOffset = math.MinInt64 + 2*pinMark
	pinMark  = 1 << 32
)

// mark notes the partition that the caller wrote, and the one to produce to again, or -1.
func mark(r *kgo.Record, given, pinned int32) {
	r.Offset = math.MinInt64 + int64(uint32(given)) //nolint:gosec // and back
	if pinned >= 0 {
		r.Offset += pinMark
		r.LeaderEpoch = pinned
	}
}

func marked(r *kgo.Record) bool { return r.Offset < noOffset }

func givenTo(r *kgo.Record) int32 { return int32(uint32(r.Offset - math.MinInt64)) } //nolint:gosec // see mark

// pinnedTo is the partition that a record goes to again, or -1.
func pinnedTo(r *kgo.Record) int32 {
	if marked(r) && r.Offset >= math.MinInt64+pinMark {
		return r.LeaderEpoch
	}
	return -1
}

type pinningTopic struct{ inner kgo.TopicPartitioner }

func (p pinningTopic) RequiresConsistency(r *kgo.Record) bool {
	if marked(r) {
		if pinnedTo(r) >= 0 {
			return true
		}
		r.Partition = givenTo(r)
	}
	return p.inner.RequiresConsistency(r)
}

func (p pinningTopic) Partition(r *kgo.Record, n int) int {
	if p := pinnedTo(r); p >= 0 {
		return int(p)
	}
	return p.inner.Partition(r, n)
}

type pinningBackup struct {
	pinningTopic
	backup kgo.TopicBackupPartitioner
}

func (p pinningBackup) PartitionByBackup(r *kgo.Record, n int, it kgo.TopicBackupIter) int {
	if p := pinnedTo(r); p >= 0 {
		return int(p)
	}
	return p.backup.PartitionByBackup(r, n, it)
}
