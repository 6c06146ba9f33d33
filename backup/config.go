package backup

import (
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/internal/topics"
	"github.com/kafkadr/kafkadr/storage"
)

// Config is a backup's configuration.
type Config struct {
	// Required.

	// Source are the options of the source cluster's clients: seed brokers, TLS, SASL.
	Source []kgo.Opt
	// Archive is where the backup goes.
	Archive *storage.Archive

	// Optional.

	// Topics are names, and regular expressions for whole names. A name matches itself only (test.a
	// isn't test-a); one that doesn't exist is a *[UnknownTopicError], one of Kafka's own state an
	// *[InternalTopicError]. Default: all but those that are the cluster's own, such as __kafkadr,
	// which are backed up where they are named.
	Topics []string
	// Exclude are names, and regular expressions for whole names, of topics to leave out.
	Exclude []string
	// SkipGroups leaves groups and their committed offsets alone, for who may not describe them.
	// Those that the archive has are carried, with their age. Default: they are read; a
	// *[GroupsError] where they can't be.
	SkipGroups bool
	// MaxBytesPerSecond bounds what is fetched. Default 0: no bound.
	MaxBytesPerSecond int64
	// ClientID is the client.id. Default "kafkadr".
	ClientID string
	// Rack is the client's rack, for fetching from the nearest replica (KIP-392). Default none.
	Rack string
	// SegmentBytes is the length at which an object is closed. Default 64 MiB.
	SegmentBytes int64
	// FetchBytes bounds one fetch response; two for each broker can be in memory. Default 8 MiB.
	FetchBytes int32
	// Zstd compresses what isn't compressed yet. Default off.
	Zstd bool
	// Owner names this writer in the errors of those it fences. Default: host name and process ID.
	Owner string
	// Logger takes what an operator may want to know. Default: nothing is logged.
	Logger *slog.Logger
	// Hooks are called as things happen.
	Hooks Hooks

	// retryFor is rawkafka's RetryFor, and storeTries how often in a row a Run
	// reads again what the store lost (default 8); less in tests.
	retryFor   time.Duration
	storeTries int
	selection  *topics.Selection
}

// FollowerConfig is a continuous backup's configuration.
type FollowerConfig struct {
	Config
	// Flush is how old a record may become before it is in a committed manifest, a round trip
	// to the store aside. Default 10 s.
	Flush time.Duration
	// Every is the time from one full snapshot to the next. Default 1 min.
	Every time.Duration
	// Discover is the time from one look for new topics and partitions to the next. Default 5 s.
	Discover time.Duration
}

// Hooks are called synchronously; nil ones are skipped.
type Hooks struct {
	// OnSnapshot is called after each commit of a full snapshot, OnFlush after each other commit.
	OnSnapshot, OnFlush func(storage.Info)
	// OnHole is called when offsets were lost to retention before they could be read.
	OnHole func(topic string, partition int32, h storage.Hole)
	// OnTruncated is called when a partition's history ended because the source was truncated.
	OnTruncated func(*TruncatedError)
	// OnIncarnation is called when a topic is new, re-created or gone.
	OnIncarnation func(t storage.Topic)
	// OnWrongCluster is called when another cluster has answered at one of the source's addresses,
	// once until the right one does.
	OnWrongCluster func(*WrongClusterError)
	// OnUnreachable is called when a broker couldn't be reached for 5 s at the address that it
	// advertises, once until it could.
	OnUnreachable func(*UnreachableError)
	// OnRetry is called before a request or store operation is tried again.
	OnRetry func(op string, err error)
	// OnProgress is called now and then, at most once a second.
	OnProgress func(Status)
}

// Status is where a backup stands.
type Status struct {
	// Snapshot is the last committed full snapshot, Committed the last commit of any kind.
	Snapshot  storage.Info `json:"snapshot"`
	Committed storage.Info `json:"committed"`
	// SnapshotAge is the time since Snapshot was created; negative before the first.
	SnapshotAge millis.Duration `json:"snapshot_age_ms"`
	// LagRecords is how many offsets below the last stable offsets aren't in a committed manifest
	// yet.
	LagRecords int64 `json:"lag_records"`
	// LSOLag is the largest distance of a high watermark and its last stable offset, in offsets,
	// and LSOLagPartition whose: a hanging transaction freezes the cut without an error.
	LSOLag          int64  `json:"lso_lag"`
	LSOLagPartition string `json:"lso_lag_partition,omitempty"`
	// Records, Bytes, Objects are what was archived since the start; Total* what the cut needs (Run
	// only).
	Records      int64 `json:"records"`
	Bytes        int64 `json:"bytes"`
	Objects      int64 `json:"objects"`
	TotalRecords int64 `json:"total_records"`
	// Seconds is how long the job has run.
	Seconds float64 `json:"seconds"`
	// Holes, Retries, StoreErrors, Truncated count since the start.
	Holes       int64 `json:"holes"`
	Retries     int64 `json:"retries"`
	StoreErrors int64 `json:"store_errors"`
	Truncated   int64 `json:"truncated"`
	// Partitions counts those that are followed; Faulted those that can't be read now.
	Partitions int `json:"partitions"`
	Faulted    int `json:"faulted"`
	// WrongCluster is the answer of another cluster at the source's address, where the right one
	// hasn't answered since; else nil. Nothing is archived then.
	WrongCluster *WrongClusterError `json:"wrong_cluster,omitempty"`
}

// Result is what a Run did.
type Result struct {
	Snapshot storage.Info `json:"snapshot"`
	// Records, Bytes, Objects are what this run added.
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
	Objects int64 `json:"objects"`
	// Holes were found by this run; Truncated histories ended.
	Holes     []PartitionHole   `json:"holes,omitempty"`
	Truncated []*TruncatedError `json:"truncated,omitempty"`
	// LeftOut are the topics that the selection left out. LeftOutWhy has the reasons, also of
	// topics that are the cluster's own.
	LeftOut    []string          `json:"left_out,omitempty"`
	LeftOutWhy map[string]string `json:"left_out_why,omitempty"`
	// Unread says what of the cluster's metadata couldn't be read and why.
	Unread   map[string]string `json:"unread,omitempty"`
	Duration millis.Duration   `json:"duration_ms"`
}

// PartitionHole is a hole with its partition.
type PartitionHole struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	storage.Hole
}
