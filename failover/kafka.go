package failover

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Kafka is what an application needs of a client, in kgo's own types: *[kgo.Client] and *[Client] satisfy it, so an application changes a type and a constructor. What
// differs in a [Client] is said at its methods, and METHODS.md lists all of kgo's.
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

	Ping(ctx context.Context) error
	Close()
	CloseAllowingRebalance()
}

var (
	_ Kafka = (*kgo.Client)(nil)
	_ Kafka = (*Client)(nil)
)
