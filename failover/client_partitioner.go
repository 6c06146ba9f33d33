package failover

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// pinning is the application's partitioner, but for records that are produced again: they go to the partition that they had, where their order is.
type pinning struct{ kgo.Partitioner }

// ForTopic implements kgo's interface. Which of its optional interfaces a partitioner has matters to kgo.
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

// entryOf is the client's own of a record.
func entryOf(r *kgo.Record) *entry {
	e, _ := r.Context.(*entryContext)
	if e == nil {
		return nil
	}
	return e.entry
}

// entryContext carries an entry to the partitioner, at the price of one allocation for a record.
type entryContext struct {
	context.Context
	entry *entry
}

type pinningTopic struct{ inner kgo.TopicPartitioner }

func (p pinningTopic) RequiresConsistency(r *kgo.Record) bool {
	if e := entryOf(r); e != nil {
		if e.pinned >= 0 {
			return true
		}
		r.Partition = e.given
	}
	return p.inner.RequiresConsistency(r)
}

func (p pinningTopic) Partition(r *kgo.Record, n int) int {
	if e := entryOf(r); e != nil && e.pinned >= 0 {
		return int(e.pinned)
	}
	return p.inner.Partition(r, n)
}

type pinningBackup struct {
	pinningTopic
	backup kgo.TopicBackupPartitioner
}

func (p pinningBackup) PartitionByBackup(r *kgo.Record, n int, it kgo.TopicBackupIter) int {
	if e := entryOf(r); e != nil && e.pinned >= 0 {
		return int(e.pinned)
	}
	return p.backup.PartitionByBackup(r, n, it)
}
