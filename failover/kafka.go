package failover

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Kafka is what an application needs of a client, in kgo's own types: *[kgo.Client] and *[Client]
// satisfy it, so an application changes a type and a constructor. What differs in a [Client] is
// said at its methods, and METHODS.md lists all of kgo's.
type Kafka interface {
	Produce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error))
	TryProduce(ctx context.Context, r *kgo.Record, promise func(*kgo.Record, error))
	ProduceSync(ctx context.Context, rs ...*kgo.Record) kgo.ProduceResults
	Flush(ctx context.Context) error
	BufferedProduceRecords() int64
	BufferedProduceBytes() int64

	BeginTransaction() error
	EndTransaction(ctx context.Context, commit kgo.TransactionEndTry) error
	AbortBufferedRecords(ctx context.Context) error

	PollFetches(ctx context.Context) kgo.Fetches
	PollRecords(ctx context.Context, maxPollRecords int) kgo.Fetches
	AllowRebalance()
	CommitRecords(ctx context.Context, rs ...*kgo.Record) error
	CommitUncommittedOffsets(ctx context.Context) error
	MarkCommitRecords(rs ...*kgo.Record)
	CommitMarkedOffsets(ctx context.Context) error
	CommitOffsets(ctx context.Context, uncommitted map[string]map[int32]kgo.EpochOffset, onDone func(*kgo.Client, *kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse, error))
	CommitOffsetsSync(ctx context.Context, uncommitted map[string]map[int32]kgo.EpochOffset, onDone func(*kgo.Client, *kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse, error))
	MarkCommitOffsets(unmarked map[string]map[int32]kgo.EpochOffset)
	CommittedOffsets() map[string]map[int32]kgo.EpochOffset
	UncommittedOffsets() map[string]map[int32]kgo.EpochOffset
	MarkedOffsets() map[string]map[int32]kgo.EpochOffset
	SetOffsets(offsets map[string]map[int32]kgo.EpochOffset)

	PauseFetchTopics(topics ...string) []string
	PauseFetchPartitions(partitions map[string][]int32) map[string][]int32
	ResumeFetchTopics(topics ...string)
	ResumeFetchPartitions(partitions map[string][]int32)
	AddConsumeTopics(topics ...string)
	AddConsumePartitions(partitions map[string]map[int32]kgo.Offset)
	RemoveConsumePartitions(partitions map[string][]int32)
	GetConsumeTopics() []string
	PurgeTopicsFromClient(topics ...string)
	PurgeTopicsFromConsuming(topics ...string)
	PurgeTopicsFromProducing(topics ...string)

	GroupMetadata() (memberID string, generation int32)
	ForceRebalance()
	LeaveGroup()
	LeaveGroupContext(ctx context.Context) error

	Ping(ctx context.Context) error
	Close()
	CloseAllowingRebalance()
}

var (
	_ Kafka = (*kgo.Client)(nil)
	_ Kafka = (*Client)(nil)
)
