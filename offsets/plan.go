package offsets

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// PlanConfig says what is to be committed where.
type PlanConfig struct {
	// Required.

	// Groups are what the source's groups have committed, as [Capture] read it.
	Groups *Groups

	// Optional.

	// Translate gives the target's offset for a committed one; [Through] makes one of a
	// [Translator]. What it doesn't know ([HowUnknown]) is refused in the plan; [ErrLeftOut] leaves
	// the offset out of it; another error ends NewGroupsPlan. Default: the same topic and offset.
	Translate func(ctx context.Context, c Committed) (Translated, error)
	// Only are regular expressions, anchored, of groups to take. Default: all.
	Only []string
	// Exclude are regular expressions, anchored, of groups to leave out.
	Exclude []string
	// AllowRewind commits offsets below what the target's group has committed. Default: they are
	// refused.
	AllowRewind bool
	// AllowPastEnd commits offsets past the partition's end. Default: the end is committed instead.
	AllowPastEnd bool
	// RestoreAbsent commits the offsets of groups that are absent at the source. Default: they are
	// named and left.
	RestoreAbsent bool
	// RetryFor is how long moved coordinators and lost connections are followed without any
	// success. Default 1 min.
	RetryFor time.Duration
	// OnRetry is called before something is asked again, from several goroutines.
	OnRetry func(op string, err error)
}

// Through makes a [PlanConfig].Translate of a translator.
func Through(t Translator) func(context.Context, Committed) (Translated, error) {
	return func(ctx context.Context, c Committed) (Translated, error) {
		return t.Translate(ctx, c.Topic, c.Partition, c.Offset)
	}
}

// Action is what a plan would do with one offset.
type Action string

// Actions of a plan.
const (
	// DoCommit commits, DoKeep finds it committed already.
	DoCommit Action = "commit"
	DoKeep   Action = "keep"
	// DoClamp commits the partition's start or end instead.
	DoClamp Action = "clamp"
	// DoLeave touches nothing, as is to be expected; DoRefuse because something is in the way.
	DoLeave  Action = "leave"
	DoRefuse Action = "refuse"
)

// Why is a reason of a plan or of its application.
type Why string

// Reasons.
const (
	WhyActive           Why = "active"            // the group has members on the target
	WhyShare            Why = "share"             // the target's group of the name is a share group
	WhyAbsent           Why = "absent"            // the source hasn't the group any more
	WhyUnread           Why = "unread"            // not all could be read
	WhyUnresolved       Why = "unresolved"        // the translation has no answer
	WhyAmbiguous        Why = "ambiguous"         // the group is there twice, or two of its offsets become the same partition's
	WhyUnknownTopic     Why = "unknown_topic"     // the target hasn't the topic
	WhyUnknownPartition Why = "unknown_partition" // nor the partition
	WhyRewind           Why = "rewind"            // the target's group has committed a later one
	WhyPastEnd          Why = "past_end"          // the offset is past the partition's end
	WhyBeforeStart      Why = "before_start"      // the offset is below the log start
	WhyUnstable         Why = "unstable"          // a transactional commit is under way on the target
	WhyMoved            Why = "moved"             // another offset was committed since
	WhyRecreated        Why = "recreated"         // the topic was created again since
	WhyDenied           Why = "denied"            // a right is missing
)

// GroupsPlan is what would be committed on a cluster. It prints, and JSON keeps it.
type GroupsPlan struct {
	// ClusterID is the target's, SourceClusterID that of the captured groups.
	ClusterID       string      `json:"cluster_id"`
	SourceClusterID string      `json:"source_cluster_id"`
	CapturedAt      time.Time   `json:"captured_at"`
	At              time.Time   `json:"planned_at"`
	AllowPastEnd    bool        `json:"allow_past_end"`
	Groups          []GroupPlan `json:"groups"`
	// NotCarried are groups that the source has and that have no committed offsets.
	NotCarried []NotCarried `json:"not_carried"`
	// Unread says which of the source's brokers couldn't list their groups, and why.
	Unread []string `json:"unread"`
}

// GroupPlan is what would be done with one group.
type GroupPlan struct {
	Group string `json:"group"`
	// Type is the source's, TargetType and State are the target's, which are empty where it hasn't
	// the group.
	Type       string `json:"type"`
	TargetType string `json:"target_type,omitempty"`
	State      string `json:"state,omitempty"`
	// AbsentSince is the source's: the group was gone there.
	AbsentSince time.Time `json:"absent_since,omitzero"`
	// Do is DoRefuse or DoLeave where it is so for the whole group, and else empty.
	Do      Action       `json:"do,omitempty"`
	Why     Why          `json:"why,omitempty"`
	Detail  string       `json:"detail,omitempty"`
	Offsets []OffsetPlan `json:"offsets"`
}

// OffsetPlan is what would be done with one committed offset.
type OffsetPlan struct {
	// Topic, TopicID and Partition are the target's; the ID is of the topic that the plan saw.
	Topic     string  `json:"topic"`
	TopicID   TopicID `json:"topic_id"`
	Partition int32   `json:"partition"`
	// Source is what the source's group had committed; How and Evidence say how that became Wanted.
	Source   Committed `json:"source"`
	How      How       `json:"how"`
	Evidence string    `json:"evidence,omitempty"`
	Wanted   int64     `json:"wanted"`
	// Offset is what would be committed, with leader epoch -1 and the source's metadata.
	Offset int64 `json:"offset"`
	// Current is what the target's group has committed; nil: nothing.
	Current *Committed `json:"current"`
	Do      Action     `json:"do"`
	Why     Why        `json:"why,omitempty"`
	Detail  string     `json:"detail,omitempty"`
	// PendingAtSource: a transactional commit was under way, and what was committed before it is
	// taken.
	PendingAtSource bool `json:"pending_at_source,omitempty"`
}

// commits says whether the line has something to commit.
func (o *OffsetPlan) commits() bool { return o.Do == DoCommit || o.Do == DoClamp }

// wanted is the commit as the coordinator will have it.
func (o *OffsetPlan) committed() *Committed {
	return &Committed{TopicID: o.TopicID, Topic: o.Topic, Partition: o.Partition, Offset: o.Offset, LeaderEpoch: -1, Metadata: o.Source.Metadata}
}

// Refused are what is in the plan's way, in its order. [GroupsPlan.Apply] commits nothing unless
// told to skip them.
func (p *GroupsPlan) Refused() []Refusal {
	var refused []Refusal
	for i := range p.Groups {
		g := &p.Groups[i]
		if g.Do == DoRefuse {
			refused = append(refused, Refusal{Group: g.Group, Partition: -1, Offset: -1, Why: g.Why, Detail: g.Detail})
		}
		if g.Do != "" {
			continue
		}
		for _, o := range g.Offsets {
			if o.Do == DoRefuse {
				refused = append(refused, o.refusal(g.Group, o.Why, o.Detail))
			}
		}
	}
	return refused
}

func (o *OffsetPlan) refusal(group string, why Why, detail string) Refusal {
	return Refusal{Group: group, Topic: o.Topic, Partition: o.Partition, Offset: o.Offset, Why: why, Detail: detail}
}

// NewGroupsPlan reads the target and changes nothing. What is in the way is in
// the plan, not an error. A plan is for the cluster, the topics (by ID) and
// the committed offsets that it saw: [GroupsPlan.Apply] refuses what has changed since.
//
// Errors: a *[ConfigError]; the context's; the target's metadata, groups or offsets that couldn't
// be read; Translate's.
func NewGroupsPlan(ctx context.Context, cl *kgo.Client, cfg PlanConfig) (*GroupsPlan, error) {
	choose, err := newChoice(cfg.Only, cfg.Exclude)
	if err != nil {
		return nil, err
	}
	if cfg.Groups == nil {
		return nil, notGiven("Groups")
	}
	if cfg.Translate == nil {
		cfg.Translate = Through(Exact{})
	}
	p := &planner{cfg: cfg, c: newGroupsClient(cl, cfg.RetryFor, cfg.OnRetry), plan: &GroupsPlan{
		SourceClusterID: cfg.Groups.ClusterID, CapturedAt: cfg.Groups.At, At: time.Now().UTC(), AllowPastEnd: cfg.AllowPastEnd,
		Groups: []GroupPlan{}, NotCarried: []NotCarried{}, Unread: append([]string{}, cfg.Groups.Unread...),
	}}
	if err := p.translate(ctx, choose); err != nil {
		return nil, err
	}
	if err := p.look(ctx); err != nil {
		return nil, err
	}
	return p.plan, nil
}
