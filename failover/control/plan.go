package control

import (
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/fault"
)

// Plan is what a switch would do. It prints and marshals; [Plan.Run] does it.
type Plan struct {
	Scope string `json:"scope"`
	// ID names the switch, in the register's epochs and in the report.
	ID   string `json:"id"`
	From string `json:"from"`
	To   string `json:"to"`
	How  How    `json:"how"`
	// Epoch is the last one that the plan saw. By it the plan is refused when others have switched
	// since.
	Epoch int64 `json:"epoch"`
	// Resumes is a closing epoch, of a switch that this one finishes or, with GiveUp, takes back.
	Resumes *register.Epoch `json:"resumes,omitempty"`
	GiveUp  bool            `json:"give_up,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	At      time.Time       `json:"planned_at"`
	// Topics are the scope's on the standby, with their partitions.
	Topics map[string]int `json:"topics"`
	// Lag is what the standby lacks, where there is a [Replication].
	Lag *Lag `json:"lag,omitempty"`
	// Steps are what would be done, in this order.
	Steps []PlannedStep `json:"steps"`
	// Warnings are what an operator should know; Conflicts are why Run refuses.
	Warnings  []string   `json:"warnings"`
	Conflicts []Conflict `json:"conflicts"`

	c    *Controller
	last register.Epoch
	// open is the last epoch in which a cluster was active: last, or the one before a closing one.
	// wait is the lease that a client may still have once a closing epoch is there.
	open register.Epoch
	wait time.Duration
	took time.Duration
	// seen is when the last epoch was seen first: since then nobody confirms an older one.
	seen time.Time
	// down is since when From is known to be down, of switches that the controller decides.
	down time.Time
	// left is the epoch that opened another cluster in place of To, which has a tail since.
	left *register.Epoch
	// source are the scope's topics on From, as they are or were last seen.
	source map[string]int
	// hasty plans don't look at From, which is down.
	hasty bool
	// answers says that From was there when it was looked at.
	answers bool
}

// Step is a step of a switch, in the order in which they come.
type Step string

// Steps.
const (
	StepDetect  Step = "detect"  // a controller's probes, until it decided
	StepCheck   Step = "check"   // is the standby fit, and its lag within the budget
	StepTail    Step = "tail"    // keep what To had when it was left
	StepClose   Step = "close"   // write the closing epoch: from here on clients stop
	StepFence   Step = "fence"   // keep producers off at the brokers
	StepLease   Step = "lease"   // wait until no client can believe in the old epoch
	StepDrain   Step = "drain"   // planned: all of From is on To
	StepStop    Step = "stop"    // the copy ends
	StepRefill  Step = "refill"  // what an archive has
	StepForks   Step = "forks"   // where To's logs end
	StepOffsets Step = "offsets" // committed offsets
	StepRights  Step = "rights"  // To's fence is lifted, rights are given
	StepOpen    Step = "open"    // write the opening epoch: clients go to To
	StepGiveUp  Step = "give_up" // back to From
)

// PlannedStep is a step, and what it would do.
type PlannedStep struct {
	Step Step   `json:"step"`
	Do   string `json:"do"`
}

// ConflictKind says what is in the way of a switch.
type ConflictKind = string

// Kinds of conflicts.
const (
	// ConflictActive: the target is active already.
	ConflictActive ConflictKind = "active"
	// ConflictUnknownCluster: the register or the command names a cluster that isn't in the
	// configuration.
	ConflictUnknownCluster ConflictKind = "unknown_cluster"
	// ConflictSwitching: a switch to another cluster is under way; it has to be finished or given
	// up first.
	ConflictSwitching ConflictKind = "switching"
	// ConflictUnreachable: the target, or in a planned switch the source, can't be used.
	ConflictUnreachable ConflictKind = "unreachable"
	// ConflictClusterID: another cluster answers, or both names are the same one's.
	ConflictClusterID ConflictKind = "cluster_id"
	// ConflictTopic: the target lacks a topic, or partitions of one.
	ConflictTopic ConflictKind = "topic"
	// ConflictOffline: a partition of the target has no leader.
	ConflictOffline ConflictKind = "offline"
	// ConflictRights: the target doesn't let the client write, and there is no [Rights] to change
	// that.
	ConflictRights ConflictKind = "rights"
	// ConflictBudget: more would be lost than may be.
	ConflictBudget ConflictKind = "budget"
	// ConflictLagUnknown: what would be lost isn't known.
	ConflictLagUnknown ConflictKind = "lag_unknown"
	// ConflictReplication: a planned switch needs a [Replication].
	ConflictReplication ConflictKind = "replication"
	// ConflictTail: the target was left by a forced switch. What it has beyond that fork is to be
	// kept, or to be let go, by [SwitchConfig].
	ConflictTail ConflictKind = "tail"
	// ConflictRecovered: a controller took From to be down, and it isn't any more.
	ConflictRecovered ConflictKind = "recovered"
	// ConflictMoved: the register has gone on since the plan was made.
	ConflictMoved ConflictKind = "moved"
)

// Conflict is a reason to refuse: its Kind is one of those above, Topic is set where it is about
// one, and Detail says why.
type Conflict = fault.Conflict

// conflictOf is a conflict of a topic, or of none.
func conflictOf(kind ConflictKind, topic, detail string) Conflict {
	return Conflict{Kind: kind, Topic: topic, Partition: -1, Offset: -1, Detail: detail}
}

func (p *Plan) conflict(kind ConflictKind, topic, format string, args ...any) {
	p.Conflicts = append(p.Conflicts, conflictOf(kind, topic, fmt.Sprintf(format, args...)))
}

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}
