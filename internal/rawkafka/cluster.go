package rawkafka

import (
	"context"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Config is how a Cluster is used. The zero value is the default.
type Config struct {
	// ClientID is the client.id of all requests. Default "kafkadr".
	ClientID string
	// RequestTimeout is each request's deadline. Default 30 s.
	RequestTimeout time.Duration
	// Logger takes retries. Default: nothing is logged.
	Logger *slog.Logger
	// OnRetry is called before a request is tried again.
	OnRetry func(op string, err error)
}

// Partition names a partition of one incarnation of a topic, with its name.
type Partition struct {
	Topic     string
	TopicID   kadm.TopicID
	Partition int32
}

// Topic is a topic's metadata.
type Topic struct {
	Name       string
	ID         kadm.TopicID
	Internal   bool
	Err        error
	Partitions []PartitionMetadata // by partition, dense
}

// PartitionMetadata is one partition's metadata.
type PartitionMetadata struct {
	Partition     int32
	Leader        int32 // -1: none
	LeaderEpoch   int32
	Replicas, ISR []int32
	Err           error
}

// Offset is an answer of ListOffsets.
type Offset struct {
	Offset, Timestamp int64
	LeaderEpoch       int32
	Err               error
}

// EpochEnd is an answer of OffsetForLeaderEpoch.
type EpochEnd struct {
	LeaderEpoch int32
	EndOffset   int64
	Err         error
}

// Isolation levels and special offsets and replica IDs of the protocol.
const (
	ReadUncommitted int8  = 0
	ReadCommitted   int8  = 1
	Latest          int64 = -1
	Earliest        int64 = -2
	Consumer        int32 = -1 // the high watermark, or the last stable offset
	Debug           int32 = -2 // the leader's true log end
)

// Cluster is a connection to a Kafka cluster. Safe for concurrent use.
type Cluster struct{}

// Connect connects and learns the cluster ID; wrong addresses and credentials are found here, within
// RequestTimeout. The caller's opts come first, Cluster's own last. Close it when done.
func Connect(ctx context.Context, opts []kgo.Opt, cfg Config) (*Cluster, error) { panic("TODO") }

// Close ends all connections.
func (c *Cluster) Close() { panic("TODO") }

// ID is the cluster ID.
func (c *Cluster) ID() string { panic("TODO") }

// Client is the client beneath, for requests that need no leader.
func (c *Cluster) Client() *kgo.Client { panic("TODO") }

// Admin is a kadm client on Client.
func (c *Cluster) Admin() *kadm.Client { panic("TODO") }

// Topics asks for fresh metadata of the named topics, or all (none named).
// A topic that doesn't exist has Err set.
func (c *Cluster) Topics(ctx context.Context, names ...string) (map[string]Topic, error) {
	panic("TODO")
}

// Leader returns the partition's leader and its epoch, from a cache that is refreshed where it has none.
func (c *Cluster) Leader(ctx context.Context, p Partition) (broker, epoch int32, err error) {
	panic("TODO")
}

// Forget drops the partition's cached leader: the next Leader asks again.
func (c *Cluster) Forget(p Partition) { panic("TODO") }

// Request sends one request to one broker, once, with the deadline of the configuration.
func (c *Cluster) Request(ctx context.Context, broker int32, req kmsg.Request) (kmsg.Response, error) {
	panic("TODO")
}

// ListOffsets asks the leaders for offsets (Earliest, Latest or at a time), many partitions a request.
// Leader changes are followed within a budget; what is left has Err set.
func (c *Cluster) ListOffsets(ctx context.Context, ps []Partition, at int64, isolation int8, replica int32) (map[Partition]Offset, error) {
	panic("TODO")
}

// EpochEnds asks the leaders where epochs end (KIP-320).
func (c *Cluster) EpochEnds(ctx context.Context, epochs map[Partition]int32) (map[Partition]EpochEnd, error) {
	panic("TODO")
}

// Retriable says whether an error may go away by itself: a moved leader, a lost connection, a starting broker. Missing rights and unknown topics don't.
func Retriable(err error) bool { panic("TODO") }
