package restore

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/fault"
	"github.com/kafkadr/kafkadr/internal/topics"
	"github.com/kafkadr/kafkadr/offsets"
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

	// Topics are names, and regular expressions for whole names, of topics to restore. A name
	// matches itself only (test.a isn't test-a). One that the snapshot doesn't hold is an
	// [*UnknownTopicError]; one that was deleted on the source is restored in its last incarnation;
	// one of Kafka's own state is an [*InternalTopicError]. What was the source's own, such as
	// __kafkadr, is restored only where it is named. Default: all that were live when the snapshot
	// was taken.
	Topics []string
	// Exclude are names, and regular expressions for whole names, of topics to leave out.
	Exclude []string
	// Prefix is put before all names; Rename maps single names, which get no prefix. Groups'
	// offsets follow.
	Prefix string
	Rename map[string]string
	// Order lists topics, by their source names, whose partitions are begun first, in this order.
	// Default: by name.
	Order []string
	// Offsets says which offsets records get. Default [Exact]: the source's, in topics that hold
	// nothing else. [Translated] appends the records to what the target's topics hold, without
	// holes between them, and maps the offsets: see the package's doc. Two translated restores are
	// the same job if snapshot, topic incarnations on both sides and Until are the same, and both
	// or neither have an Edit, which must be the same too.
	Offsets Offsets
	// SourceAlias is a name for the source cluster, noted with what is restored, so that it can be
	// asked for by it (kdr translate
	// --source). Default: none, it is known by its cluster ID.
	SourceAlias string
	// Until keeps the records with a timestamp at or before it, wherever in the log they are: later
	// ones become holes, and those at a partition's end cut it. Default: all.
	Until time.Time
	// Edit is called for each record before it is restored; it may change key, value, headers and
	// timestamp (which Until sees before). Where it returns false, the record becomes a hole:
	// offsets stay. It is called from several goroutines, in offset order within a partition, by
	// NewPlan, Run and the check of what a target already holds, so it must be deterministic.
	// Records read in vain are seen again. Default: batches stay as they are.
	Edit func(*kgo.Record) (keep bool)
	// Groups restores committed offsets, ACLs access control entries.
	Groups, ACLs bool
	// RestoreAbsent restores the groups, too, that the source had lost when the snapshot was taken.
	// Default: they are named and left.
	RestoreAbsent bool
	// SaveGroups is given what groups had committed on the target, before the first commit, for
	// offsets.Rollback. If it fails, nothing is committed. Default: it is in the Result alone.
	SaveGroups func(*offsets.Before) error
	// ReplicationFactor overrides the topics' own. Default 0: as in the snapshot.
	ReplicationFactor int16
	// MaxBytesPerSecond bounds what is produced. Default 0: no bound.
	MaxBytesPerSecond int64
	// MaxHoleTime is the longest time that holes and filler may take by the plan's estimate.
	// Default 1 h.
	MaxHoleTime time.Duration
	// MemoryBytes bounds the batches in memory, by bounding how many partitions are copied at once.
	// Default 64 MiB.
	MemoryBytes int64
	// VerifyFirst reads and checks all data before the first effect.
	VerifyFirst bool
	// VerifyTarget compares all that the target already holds, when a restore is resumed. Default:
	// the last 3 and 16 spread batches per partition.
	VerifyTarget bool
	// AllowIncomplete restores a snapshot that is incomplete: what it holds of partitions that
	// couldn't be read to the cut.
	AllowIncomplete bool
	// SkipDamaged restores what is left where segments are lost or damaged: the plan reads all data
	// of the selected partitions, and each run (consecutive batches of a partition in one segment)
	// that can't be read becomes a hole, named in a warning; so does what a damaged part of the
	// manifest held: runs, whole partitions, topics, groups or ACLs, of which nothing is restored
	// then. What the store refuses to give (a conflict of kind unreadable) is no damage, and is
	// never passed over. Default: all are conflicts. Exact restores only.
	SkipDamaged bool
	// SameCluster allows the source cluster as target.
	SameCluster bool
	// ClientID is the client.id. Default "kafkadr".
	ClientID string
	// Logger takes what an operator may want to know. Default: nothing is logged.
	Logger *slog.Logger
	// Hooks are called as things happen.
	Hooks Hooks

	quiet time.Duration // exactcopy's, for tests
}

// Hooks are called synchronously; nil ones are skipped. OnRetry and OnPartition are called from
// several goroutines.
type Hooks struct {
	// OnProgress is called once a second, and at the end.
	OnProgress func(Status)
	// OnRetry is called before something is tried again.
	OnRetry func(op string, err error)
	// OnPartition is called when a partition is done: durable up to its end offset.
	OnPartition func(topic string, partition int32, endOffset int64)
}

// Status is where a restore stands.
type Status struct {
	// Records and Bytes are done, those found on the target included. They count what is archived,
	// so control records and records of aborted transactions too.
	Records      int64 `json:"records"`
	Bytes        int64 `json:"bytes"`
	TotalRecords int64 `json:"total_records"`
	TotalBytes   int64 `json:"total_bytes"`
	// Partitions are done.
	Partitions      int     `json:"partitions"`
	TotalPartitions int     `json:"total_partitions"`
	Retries         int64   `json:"retries"`
	Seconds         float64 `json:"seconds"`
}

const (
	defaultHoleTime = time.Hour
	defaultMemory   = 64 << 20
)

// withDefaults returns the configuration with its defaults filled in.
func (c Config) withDefaults() Config {
	if c.MaxHoleTime == 0 {
		c.MaxHoleTime = defaultHoleTime
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = defaultMemory
	}
	if c.ClientID == "" {
		c.ClientID = "kafkadr"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Hooks.OnRetry == nil {
		c.Hooks.OnRetry = func(string, error) {}
	}
	return c
}

// validate reports all faults at once, before any I/O.
func (c *Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.SkipDamaged && c.Offsets == Translated {
		bad("SkipDamaged is for exact restores: a translated one numbers the records of the whole partition")
	}
	if len(c.Target) == 0 {
		bad("Target is empty")
	}
	if c.Snapshot == nil {
		bad("Snapshot is nil")
	}
	if _, err := topics.New(c.Topics, c.Exclude); err != nil {
		bad("%w", err)
	}
	if !topics.Legal(c.Prefix) {
		bad("Prefix %q has characters that topic names can't have", c.Prefix)
	}
	if c.Offsets != Exact && c.Offsets != Translated {
		bad("Offsets is neither Exact nor Translated")
	}
	if len(c.SourceAlias) > topics.MaxName {
		bad("SourceAlias is longer than %d bytes", topics.MaxName)
	}
	seen := map[string]string{}
	for from, to := range c.Rename {
		if !topics.IsName(to) {
			bad("Rename %q to %q: not a topic name", from, to)
		}
		if other, ok := seen[to]; ok {
			bad("Rename: %q and %q both become %q", min(from, other), max(from, other), to)
		}
		seen[to] = from
	}
	for name, n := range map[string]int64{
		"ReplicationFactor": int64(c.ReplicationFactor), "MaxBytesPerSecond": c.MaxBytesPerSecond,
		"MaxHoleTime": int64(c.MaxHoleTime), "MemoryBytes": c.MemoryBytes,
	} {
		if n < 0 {
			bad("%s is negative", name)
		}
	}
	return fault.Config("restore", errs...)
}
