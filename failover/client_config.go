package failover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/internal/lease"
	"github.com/kafkadr/kafkadr/failover/register"
)

// Config is a client's configuration.
type Config struct {
	// Required.

	// Clusters are those that may be active. Which one is, the register says.
	Clusters []Cluster
	// Register holds the epochs: the same for all clients and controllers of the scope, which an
	// operator has begun ([register.Begin], kdr init-scope). Only with Alone there is none.
	Register register.Register

	// Optional.

	// Opts are the application's own, for whichever cluster is active: group, topics, acks,
	// batching. Those of the cluster come first, the client's own last.
	Opts []kgo.Opt
	// Scope is what is switched. Default "default".
	Scope string
	// Alone makes a client without a register, on the first of Clusters for ever: it is never
	// fenced, and no controller can move it. Default off.
	Alone bool
	// Lease is how long the client may write after it confirmed its epoch, where the register's
	// epoch doesn't say so: that holds for the whole scope. Default 10 s.
	Lease time.Duration
	// Poll is the time from one look at the register to the next. Default a fifth of Lease.
	Poll time.Duration

	// MaxWait is how long [Client.Produce] waits for a cluster to be active, or for the lease,
	// before the promise gets [ErrSwitching] or [ErrFenced]; the record's context may end earlier.
	// Records that were taken before wait as long as their contexts let them. Default 1 min.
	MaxWait time.Duration
	// InDoubt is what becomes of records whose ack never came and that aren't on the cluster that
	// became active. Default [Resend].
	InDoubt InDoubtPolicy
	// Replay keeps acked records until the copy has them, and produces the others anew at a switch.
	// Default: none is kept.
	Replay *Replay
	// Translate gives the committed offset on to that has the meaning of one on from; false where
	// there is none. Default: the same offset below the fork, and none beyond it.
	Translate func(ctx context.Context, from, to, topic string, partition int32, offset int64) (int64, bool)

	// Hooks are called as things happen.
	Hooks Hooks
	// Logger takes what an operator may want to know. Default: nothing is logged.
	Logger *slog.Logger

	tuning clientTuning
}

// InDoubtPolicy is what becomes of records in doubt.
type InDoubtPolicy string

// Policies. What is found on the active cluster isn't in doubt any more: its promise gets the
// offset there.
const (
	// Resend produces them there. A record that is only on the old cluster is there twice if that
	// one's tail is ever copied back.
	Resend InDoubtPolicy = "resend"
	// Drop gives their promises [ErrInDoubt].
	Drop InDoubtPolicy = "drop"
	// HandBack gives their promises an *[InDoubtError].
	HandBack InDoubtPolicy = "hand_back"
)

// Replay bounds the buffer of records that were acked and aren't on the standby yet, as far as
// known. Keys, values and headers' values are copied at the ack: the application may use their
// memory for something else once the promise was called.
type Replay struct {
	// Records and Bytes (of keys, values and headers) bound the buffer. Defaults 100 000 and 64
	// MiB.
	Records int
	Bytes   int64
	// Block has producing wait where the buffer is full, for as long as its context lets it, and
	// only while the copy of the active cluster moves: it has confirmed something within the last
	// ten times Every. [Status] counts who waits. Default: producing never waits for the copy. The
	// oldest records are let go, counted; see [Hooks.OnUnprotected].
	Block bool
	// Every is the time from one question what the standby has to the next; where an eighth of the
	// buffer is full it is asked at once. Default 1 s.
	Every time.Duration
	// Confirmed says where the copy of the active cluster's partitions ends for certain: offsets by
	// topic and partition, as on the active cluster. Default: the high watermarks of the next of
	// Clusters, which is right for an exact mirror under the same names.
	Confirmed func(ctx context.Context, active string, topics []string) (map[string]map[int32]int64, error)
}

// Hooks are called synchronously; nil ones are skipped. They must not call the client.
type Hooks struct {
	// OnSwitch is called when the client is on its new cluster, and what was in doubt is settled.
	OnSwitch func(ClientReport)
	// OnFirstAck is called at the first ack after a switch.
	OnFirstAck func(ClientReport)
	// OnFenced is called when the lease is over, and when it is confirmed again. It must be safe
	// for concurrent use.
	OnFenced func(fenced bool)
	// OnUnprotected is called with true where the first record was let go that the copy isn't known
	// to have, and with false where the copy has all that were let go, or the client has left their
	// cluster. It comes within [Replay].Every.
	OnUnprotected func(unprotected bool)
	// OnOldRecords is called with records that were marked for a commit on a cluster that isn't
	// active any more, and can't be translated.
	OnOldRecords func([]*kgo.Record)
	// OnLost is called with a record that was acked on the old cluster, isn't on the new one, and
	// can't be produced there: its promise was called long ago.
	OnLost func(*kgo.Record, error)
	// OnRetry is called before something is tried again. It must be safe for concurrent use.
	OnRetry func(op string, err error)
}

// clientTuning is for tests.
type clientTuning struct {
	clock lease.Clock // default: of the context that NewClient has
}

func (c Config) complete() (Config, error) {
	errs := CheckClusters(c.Clusters)
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for i, cl := range c.Clusters {
		for _, path := range cl.AllPaths() {
			for _, name := range among(applications, path) {
				fault("Clusters[%d] has kgo.%s: it belongs to Opts, since a cluster's options are for every connection to it", i, name)
			}
			for _, name := range among(unsupported, path) {
				fault("Clusters[%d] has kgo.%s: share groups aren't supported, since their state is the cluster's own", i, name)
			}
		}
	}
	for _, name := range among(clustersOwn, c.Opts) {
		fault("Opts has kgo.%s: it belongs to Clusters, since Opts are for whichever cluster is active", name)
	}
	for _, name := range among(unsupported, c.Opts) {
		fault("Opts has kgo.%s: share groups aren't supported, since their state is the cluster's own", name)
	}
	c.Scope = cmp.Or(c.Scope, "default")
	if err := register.CheckScope(c.Scope); err != nil {
		fault("Scope: %w", err)
	}
	c.Lease = cmp.Or(c.Lease, lease.Default)
	c.Poll = cmp.Or(c.Poll, c.Lease/5)
	c.MaxWait = cmp.Or(c.MaxWait, time.Minute)
	switch {
	case c.Register == nil && !c.Alone:
		fault("Register is missing: where the epochs are (Alone does without)")
	case c.Register != nil && c.Alone:
		fault("Alone has no Register")
	}
	if c.Lease < 0 || c.Poll < 0 || c.MaxWait < 0 {
		fault("Lease, Poll or MaxWait is negative")
	} else if c.Poll >= c.Lease {
		fault("Poll, %v, must be less than Lease, %v", c.Poll, c.Lease)
	}
	switch c.InDoubt = cmp.Or(c.InDoubt, Resend); c.InDoubt {
	case Resend, Drop, HandBack:
	default:
		fault("InDoubt is %q: want %s, %s or %s", c.InDoubt, Resend, Drop, HandBack)
	}
	if c.Replay != nil {
		r := *c.Replay
		if r.Records < 0 || r.Bytes < 0 || r.Every < 0 {
			fault("Replay has a negative bound")
		}
		r.Records, r.Bytes, r.Every = cmp.Or(r.Records, 100_000), cmp.Or(r.Bytes, 64<<20), cmp.Or(r.Every, time.Second)
		c.Replay = &r
	}
	if len(errs) > 0 {
		return c, &ConfigError{Job: "failover", Errs: errs}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

var errNoOption = errors.New("this version of kgo doesn't tell its options")
