package mirror

import (
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config is a mirror's configuration.
type Config struct {
	// Required.

	// Source and Target are the options of the two clusters' clients: seed brokers, TLS, SASL.
	Source, Target []kgo.Opt

	// Optional.

	// Topics are names, and regular expressions for whole names. A name matches itself only (test.a
	// isn't test-a); one that doesn't exist at the start is a *[UnknownTopicError], one of Kafka's
	// own state an *[InternalTopicError]. Default: all but those that are the source's own, such as
	// `__kafkadr`, which are mirrored where they are named. Copies that came from the target are
	// never mirrored back.
	Topics []string
	// Exclude are names, and regular expressions for whole names, of topics to leave out.
	Exclude []string
	// Prefix is put before the names of copies, as MirrorMaker does with an alias and a separator:
	// "A." makes A.orders of orders. Default: same names.
	Prefix string
	// Name is the flow's. Two mirrors of the same clusters that are to run side by side need
	// different names, and different topics. Default "mirror".
	Name string
	// Once ends Run when all that lay below the sources' last stable offsets at its start is
	// durable on the target.
	Once bool
	// ReplicationFactor is that of topics that are created. Default 0: the source's; a conflict of
	// the plan where the target has fewer brokers.
	ReplicationFactor int16
	// MaxBytesPerSecond bounds what is fetched. Default 0: no bound.
	MaxBytesPerSecond int64
	// MemoryBytes bounds the batches in memory, the responses under way aside (two of 6 MiB, or
	// MemoryBytes/8 where that is less, for each source broker). Default 64 MiB.
	MemoryBytes int64
	// Discover is the time from one look for new topics and partitions, and at log starts, to the
	// next. Default 5 s.
	Discover time.Duration
	// GroupInterval is the time from one look at committed offsets to the next. Default 5 s.
	GroupInterval time.Duration
	// Heartbeat is the time from one record to the next that the mirror writes to a topic of its
	// own at the source, `kafkadr-heartbeats-` and the source's cluster ID, to measure the way
	// through to the standby. Default 0: none. Where the right is missing, [HeartbeatDenied] says
	// so.
	Heartbeat time.Duration
	// MaxHoleTime is the longest time that a partition's filler below the log start, or its holes,
	// may take by the plan's estimate. Default 1 h.
	MaxHoleTime time.Duration
	// SkipACLs, SkipQuotas and SkipGroups leave these alone on the standby.
	SkipACLs, SkipQuotas, SkipGroups bool
	// Groups are regular expressions, anchored, of groups whose committed offsets are kept in step,
	// ExcludeGroups of those to leave out. Default: all.
	Groups, ExcludeGroups []string
	// Writes is what becomes of rights to write to copies. Default [WritesWithheld].
	Writes Writes
	// Policies say what to do at events, by kind. What isn't named keeps its default; see
	// [EventKind].
	Policies Policies
	// ClientID is the client.id. Default "kafkadr".
	ClientID string
	// Rack is the client's rack, for fetching from the nearest replica of the source (KIP-392).
	// Default none.
	Rack string
	// Logger takes what an operator may want to know. Default: nothing is logged.
	Logger *slog.Logger
	// Hooks are called as things happen.
	Hooks Hooks

	tuning tuning
}

// Hooks are called synchronously, one at a time; nil ones are skipped. They must not call the
// Mirror's methods but Status.
type Hooks struct {
	// OnEvent is called at each event.
	OnEvent func(Event)
	// OnProgress is called about once a second.
	OnProgress func(Status)
	// OnRetry is called before something is tried again.
	OnRetry func(op string, err error)
	// OnTopic is called when the mirror of a topic has begun: it exists on the target.
	OnTopic func(source, target string)
}

// tuning is for tests.
type tuning struct {
	retryFor time.Duration // rawkafka's, exactcopy's
	quiet    time.Duration // exactcopy's
	lease    time.Duration // copylock's
	inStep   time.Duration // onceFor
	locks    locks         // in place of copylock's
	lag      time.Duration // from one note of what the standby lacks to the next
	identity time.Duration // from one note of positions to the next
	pause    time.Duration // before a partition that failed is looked at again
}
