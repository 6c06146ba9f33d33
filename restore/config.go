package restore

import (
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage"
)

// Config is a restore's configuration.
type Config struct {
	// Required.

	// Target are the options of the target cluster's clients: seed brokers, TLS, SASL.
	Target []kgo.Opt
	// Snapshot is what is restored.
	Snapshot *storage.Snapshot

	// Optional.

	// Topics are regular expressions, anchored, of topics to restore; literal names must be in the snapshot.
	// Default: all that were live when the snapshot was taken, but internal ones.
	Topics []string
	// Exclude are regular expressions, anchored.
	Exclude []string
	// Prefix is put before all names; Rename maps single names. Groups' offsets follow.
	Prefix string
	Rename map[string]string
	// Order lists topics that are restored first, in this order. Default: by name.
	Order []string
	// Until keeps the records with a timestamp at or before it, wherever in the log they are: later ones become holes,
	// and those at a partition's end cut it. Default: all.
	Until time.Time
	// Edit is called for each record, before it is restored; it may change key, value, headers and timestamp; where it returns false, the record
	// becomes a hole. Called from several goroutines, in offset order within a partition. Must be deterministic, or a restore can't be resumed. Default: records stay raw.
	Edit func(*kgo.Record) (keep bool)
	// Groups restores committed offsets, ACLs access control entries.
	Groups, ACLs bool
	// ReplicationFactor overrides the topics' own. Default 0: as in the snapshot.
	ReplicationFactor int16
	// MaxBytesPerSecond bounds what is produced. Default 0: no bound.
	MaxBytesPerSecond int64
	// MaxHoleTime is the longest time that holes may take by the plan's estimate. Default 1 h.
	MaxHoleTime time.Duration
	// MemoryBytes bounds the batches in memory. Default 64 MiB.
	MemoryBytes int64
	// VerifyFirst reads and checks all data before the first effect.
	VerifyFirst bool
	// VerifyTarget compares all that the target already holds, when a restore is resumed. Default: the last 3 and 16 spread batches per partition.
	VerifyTarget bool
	// AllowIncomplete restores a snapshot that is incomplete.
	AllowIncomplete bool
	// SameCluster allows the source cluster as target.
	SameCluster bool
	// ClientID is the client.id. Default "kafkadr".
	ClientID string
	// Logger takes what an operator may want to know. Default: nothing is logged.
	Logger *slog.Logger
	// Hooks are called as things happen.
	Hooks Hooks
}

// Hooks are called synchronously; nil ones are skipped.
type Hooks struct {
	OnProgress func(Status)
	OnRetry    func(op string, err error)
	// OnPartition is called when a partition is done.
	OnPartition func(topic string, partition int32, endOffset int64)
}

// Status is where a restore stands.
type Status struct {
	Records, Bytes           int64 // done, those found on the target included
	TotalRecords, TotalBytes int64
	Partitions               int // done
	TotalPartitions          int
	Retries                  int64
	Seconds                  float64
}
