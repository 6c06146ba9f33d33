package mirror

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/kafkadr/kafkadr/internal/quote"
)

// EventKind says what an event is about.
type EventKind string

// Kinds of events. In brackets: what may be done about it, the default first.
const (
	// TopicRecreated: the source's topic is another one than the copy is of, under the same name
	// [stop, recreate: delete the copy and begin anew].
	TopicRecreated EventKind = "topic_recreated"
	// TopicDeleted: the source's topic is gone [keep the copy, delete it].
	TopicDeleted EventKind = "topic_deleted"
	// Overtaken: retention at the source removed records before they were mirrored; Offset is the
	// first lost, Other the first that is left [stop, go_on behind a hole].
	Overtaken EventKind = "overtaken"
	// Truncated: the source's log no longer is the one that was mirrored, from Other on [stop].
	Truncated EventKind = "truncated"
	// ForeignWriter: the standby holds records there that aren't the source's [stop].
	ForeignWriter EventKind = "foreign_writer"
	// StandbyAhead: the standby's log ends, at Offset, beyond the source's, at Other [stop].
	StandbyAhead EventKind = "standby_ahead"
	// StandbyBack: the standby has lost records that were durable there, from Other to Offset, as
	// an unclean election does [go_on: they are copied again, stop].
	StandbyBack EventKind = "standby_back"
	// StandbyDeleted: the copy was deleted, or re-created, on the standby while it was mirrored
	// [stop, go_on: it is created anew].
	StandbyDeleted EventKind = "standby_deleted"
	// Shifted: the standby's log isn't where it must be: every later record would get a wrong
	// offset. Delete the copy to begin anew [stop].
	Shifted EventKind = "shifted"
	// Stamped: the copy's topic gives records a time of its own
	// (message.timestamp.type=LogAppendTime). The batch at Offset has wrong timestamps, and nothing
	// more is written. Delete the copy to begin anew [stop].
	Stamped EventKind = "stamped"
	// TakenOver: another mirror, or a restore, makes this topic's holes now [stop].
	TakenOver EventKind = "taken_over"
	// TooLarge: the standby doesn't take a batch: max.message.bytes, or the broker's limit of a
	// request [retry, stop].
	TooLarge EventKind = "too_large"
	// Denied: a right is missing on either side [retry, stop].
	Denied EventKind = "denied"
	// Failed: a partition can't be read or written for another reason, which Detail tells [retry,
	// stop].
	Failed EventKind = "failed"
	// Recovered: a partition that had stopped, or failed, is mirrored again.
	Recovered EventKind = "recovered"
	// LSOStuck: an open transaction has held the last stable offset back, at Offset, for a minute;
	// the high watermark is Other. Nothing behind it can be mirrored.
	LSOStuck EventKind = "lso_stuck"
	// UnderReplicated: the standby's leader has appended up to Other, and its in-sync replicas have
	// had no more than Offset for a minute: a broker is away, or too few are in sync.
	UnderReplicated EventKind = "under_replicated"
	// CoordinatorAway: holes of a topic have waited for a minute for the standby's transaction
	// coordinator, which gives out the right to make them.
	CoordinatorAway EventKind = "coordinator_away"
	// NothingRead: the source has answered for a minute without the data below its last stable
	// offset, which is Other: tiered storage that is slow or away, or a topic that was compacted
	// once and isn't any more. Only a cleanup.policy that compacts proves that nothing is there
	// [retry, stop, go_on behind a hole: not where the topic is in tiered storage, or its configs
	// can't be read].
	NothingRead EventKind = "nothing_read"
	// StandbyTrimmed: the standby's log starts, at Offset, beyond the source's, at Other: it has
	// deleted what the source still has, by a policy or a hand of its own.
	StandbyTrimmed EventKind = "standby_trimmed"
	// TopicRefused: the target doesn't take the topic: its name, partitions, replication factor or
	// configs [retry, stop].
	TopicRefused EventKind = "topic_refused"
	// PartitionsAhead: the copy has more partitions than the source's topic [go_on, stop].
	PartitionsAhead EventKind = "partitions_ahead"
	// HeartbeatDenied: heartbeats can't be written at the source.
	HeartbeatDenied EventKind = "heartbeat_denied"
	// HolesUnguarded: no right to the transactional ids that keep two mirrors from making the same
	// hole at once: don't run two.
	HolesUnguarded EventKind = "holes_unguarded"
	// GroupDeleted: a group, or an offset of it, is gone at the source [keep it on the standby,
	// delete it].
	GroupDeleted EventKind = "group_deleted"
	// GroupDiverged: somebody else has moved a group's offsets on the standby [keep them until they
	// are again what the source has, overwrite them].
	GroupDiverged EventKind = "group_diverged"
	// WrongCluster: another cluster has answered at an address of the source, or of the target;
	// Detail has both IDs. It isn't believed, and nothing is written to it [retry].
	WrongCluster EventKind = "wrong_cluster"
	// Unreachable: a broker hasn't been reached for 5 s at the address that it advertises [retry].
	Unreachable EventKind = "unreachable"
	// Kinds of what is kept in step beside the records: config_refused, acl_refused, group_active
	// and others are events as well, under their own names.
)

// Event is something that an operator should know.
type Event struct {
	Time time.Time `json:"time"`
	Kind EventKind `json:"kind"`
	// Policy is what is done about it; empty where there is nothing to do.
	Policy Policy `json:"policy,omitempty"`
	// Topic is the source's name, Target the copy's. Empty where it is about no topic.
	Topic  string `json:"topic,omitempty"`
	Target string `json:"target,omitempty"`
	// Group is the consumer group that it is about, if any.
	Group string `json:"group,omitempty"`
	// Partition is -1 where it is about all of the topic's, or none.
	Partition int32 `json:"partition"`
	// Offset is where the copy stands, Other the offset that it is compared with; -1: none.
	Offset int64 `json:"offset"`
	Other  int64 `json:"other"`
	// Detail is for people.
	Detail string `json:"detail"`
}

// String is the event's place, kind and detail.
func (e Event) String() string {
	var at string
	if e.Group != "" {
		at = "group " + quote.Name(e.Group) + ": "
	}
	switch {
	case e.name() == "":
	case e.Partition < 0:
		at += quote.Name(e.name()) + ": "
	default:
		at += fmt.Sprintf("%s/%d at %d: ", quote.Name(e.name()), e.Partition, e.Offset)
	}
	return fmt.Sprintf("%s%s: %s", at, e.Kind, e.Detail)
}

func (e Event) name() string {
	if e.Topic == "" {
		return e.Target
	}
	return e.Topic
}

// attrs are the event's fields for a log, but for those that say nothing.
func (e Event) attrs() []slog.Attr {
	var as []slog.Attr
	for _, text := range [][2]string{{"topic", e.name()}, {"group", e.Group}} {
		if text[1] != "" {
			as = append(as, slog.String(text[0], text[1]))
		}
	}
	for _, n := range []struct {
		name  string
		value int64
	}{{"partition", int64(e.Partition)}, {"offset", e.Offset}, {"other", e.Other}} {
		if n.value >= 0 {
			as = append(as, slog.Int64(n.name, n.value))
		}
	}
	if e.Policy != "" {
		as = append(as, slog.String("policy", string(e.Policy)))
	}
	return append(as, slog.String("detail", e.Detail))
}

// EventError is an event as an error: why a partition isn't mirrored.
type EventError struct {
	Event Event
	// Err is the cause, where there was one.
	Err error
}

func (e *EventError) Error() string { return "mirror: " + e.Event.String() }

// Unwrap is the cause.
func (e *EventError) Unwrap() error { return e.Err }

// As makes the event of a partition a [*PartitionError].
func (e *EventError) As(target any) bool {
	to, ok := target.(**PartitionError)
	if !ok || e.Event.Topic == "" || e.Event.Partition < 0 {
		return false
	}
	cause := e.Err
	if cause == nil {
		cause = errors.New(e.Event.Detail)
	}
	*to = &PartitionError{
		Job: "mirror", Topic: e.Event.Topic, Partition: e.Event.Partition, Offset: e.Event.Offset, Op: string(e.Event.Kind), Err: cause,
	}
	return true
}
