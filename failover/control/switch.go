package control

import (
	"context"
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/millis"
)

// How says what is known of the cluster that a switch leaves.
type How string

// Kinds of switches.
const (
	// Failover isn't planned: the cluster is down, or taken to be. What the standby hasn't got is
	// lost to it, within the [Budget].
	Failover How = "forced"
	// Switchover is planned: the cluster is alive and is drained first. Nothing is lost, or the
	// switch is given up.
	Switchover How = "planned"
)

// Millis is a duration that is a number of milliseconds in JSON.
type Millis = millis.Duration

// Lag is what a standby hasn't got yet.
type Lag struct {
	// Records are offsets below the high watermarks that aren't durable on the standby.
	Records int64 `json:"records"`
	// Age is that of the oldest of them, when it was measured.
	Age Millis `json:"age_ms"`
	// Unknown counts partitions of which it can't be told; there may be more than Records then.
	Unknown int `json:"unknown"`
	// At is when it was measured. What came since isn't in it. Zero: never, and nothing is known.
	At time.Time `json:"at,omitzero"`
	// Partitions are those that lack something, sorted, as far as known.
	Partitions []PartitionLag `json:"partitions,omitempty"`
}

// PartitionLag is what a standby hasn't got of a partition.
type PartitionLag struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Records   int64  `json:"records"`
	// Oldest and Newest are timestamps of the records; zero where they aren't known.
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
}

// Budget is how much a forced switch may lose (RPO).
type Budget struct {
	// Records and Age bound [Lag]. One that is 0 bounds nothing; where both are 0, nothing may be
	// missing at all.
	Records int64
	// Age counts the time since the lag was measured as well.
	Age time.Duration
	// AllowUnknown switches where the lag isn't known. Default: that is a veto.
	AllowUnknown bool
}

// exceeded says why a lag is over the budget, in words, or "" where it isn't.
func (b *Budget) exceeded(l Lag, now time.Time) (kind ConflictKind, why string) {
	if !b.AllowUnknown && (l.At.IsZero() || l.Unknown > 0) {
		if l.At.IsZero() {
			return ConflictLagUnknown, "what the standby lacks isn't known"
		}
		return ConflictLagUnknown, fmt.Sprintf("what the standby lacks of %d partitions isn't known", l.Unknown)
	}
	age := time.Duration(l.Age)
	if l.Records > 0 && now.After(l.At) && !l.At.IsZero() {
		age += now.Sub(l.At)
	}
	switch {
	case b.Records == 0 && b.Age == 0 && l.Records > 0:
		return ConflictBudget, fmt.Sprintf("the standby lacks %d records, and none may be lost", l.Records)
	case b.Records > 0 && l.Records > b.Records:
		return ConflictBudget, fmt.Sprintf("the standby lacks %d records, and %d may be lost", l.Records, b.Records)
	case b.Age > 0 && age > b.Age:
		return ConflictBudget, fmt.Sprintf("the standby lacks the last %v, and %v may be lost", age.Round(time.Millisecond), b.Age)
	}
	return "", ""
}

// Replication is the copy from one cluster to the other, by their names: a mirror. Implementations
// are safe for concurrent use, and return within their context.
type Replication interface {
	// Lag is what isn't on to; where from is away, the last that was known, with its time.
	Lag(ctx context.Context, from, to string) (Lag, error)
	// Drain returns when everything on from is durable on to: records, and committed offsets where
	// the copy carries them. Nobody writes to from by then.
	Drain(ctx context.Context, from, to string) error
	// Stop returns when nothing more will be appended to to. It may be called again.
	Stop(ctx context.Context, from, to string) error
}

// Resumer is a [Replication] that goes on after a switch was given up. One that isn't has to be
// started again by hand.
type Resumer interface {
	Resume(ctx context.Context, from, to string) error
}

// Fencer keeps producers off a cluster at its brokers, beside the lease that keeps
// [failover.Client]s off it. [DenyWrites] is one.
type Fencer interface {
	// Fence returns true where every broker that might take a write refuses it from now on: then
	// nobody waits for what is left of the lease. False, and errors, are no veto, since the cluster
	// may well be gone; an error that matches [ErrVeto] is. It may be called again.
	Fence(ctx context.Context, r FenceRequest) (confirmed bool, err error)
	// Lift takes back what Fence did, and only that. It is called before the cluster becomes active
	// again, whether it was fenced or not.
	Lift(ctx context.Context, r FenceRequest) error
}

// FenceRequest says what is fenced.
type FenceRequest struct {
	Scope   string
	Cluster failover.Cluster
	// Topics are the scope's on that cluster, sorted, as they are or were last seen.
	Topics []string
}

// Refiller copies to the standby what an archive has and the standby hasn't. It has stopped
// appending when it returns.
type Refiller interface {
	// Refill's errors, and a deadline that it misses, are in the report and no veto; an error that
	// matches [ErrVeto] is.
	Refill(ctx context.Context, from, to string) (RefillResult, error)
}

// RefillResult is what a [Refiller] did.
type RefillResult struct {
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
	// Outcome is done, skipped or late. Default done.
	Outcome Outcome `json:"outcome"`
	Detail  string  `json:"detail,omitempty"`
}

// OffsetCarrier takes care of the groups' committed offsets on the standby: [ExactOffsets],
// [TranslatedOffsets], [MM2Offsets].
type OffsetCarrier interface {
	Carry(ctx context.Context, r CarryRequest) (OffsetsResult, error)
}

// CarryRequest says between which clusters offsets are carried. From may be away.
type CarryRequest struct {
	Scope    string
	From, To failover.Cluster
	// Topics are the scope's on To, sorted; the offsets of others aren't touched.
	Topics []string
	// Ends are the forks: where the logs of To end.
	Ends []register.Fork
}

// OffsetsResult is what became of committed offsets.
type OffsetsResult struct {
	// Groups and Offsets were looked at, Committed of the offsets changed.
	Groups    int `json:"groups"`
	Offsets   int `json:"offsets"`
	Committed int `json:"committed"`
	// Held were left alone: a rewind, or past the end. Unknown have no known offset on the standby.
	Held    int `json:"held"`
	Unknown int `json:"unknown"`
	// Detail says which, and why: at most 100 lines.
	Detail []string `json:"detail,omitempty"`
}

// Rights gives write rights on the standby that a mirror withheld: [GrantWrites] is one. It may be
// called again.
type Rights interface {
	Grant(ctx context.Context, to failover.Cluster, topics []string) error
}

// TailSaver keeps what a cluster has beyond the fork at which it was left: acked records that the
// other one never got. It is called before the switch back, when nothing has changed yet, and
// vetoes with an error. It may be called again.
type TailSaver interface {
	SaveTail(ctx context.Context, r TailRequest) (TailResult, error)
}

// TailRequest says which tail.
type TailRequest struct {
	Scope   string
	Cluster failover.Cluster
	// Left is the epoch that opened another cluster in its place: the tail is what lies beyond its
	// Forks.
	Left register.Epoch
}

// TailResult is what was kept.
type TailResult struct {
	Partitions int   `json:"partitions"`
	Records    int64 `json:"records"`
	Bytes      int64 `json:"bytes"`
	// Where it is, for people.
	Where string `json:"where,omitempty"`
}
